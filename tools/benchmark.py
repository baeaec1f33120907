"""Measures input, network, memory, start-up and graphs on this machine.

  make bench

Speeds are shares of what the machine reaches in the same run, so they can be
compared between machines and busy hours; each line names what it should be.
"""

import os
import platform
import subprocess
import sys
import tempfile
from typing import List

from absl import flags

from utils import program

FLAGS = flags.FLAGS
flags.DEFINE_string(
  'bccd_dir',
  os.path.join(os.environ.get('DETECTION_TEST_DATA', '../shared/data'), 'bccd'),
  'BCCD data set. Without it generated images are read instead, which are '
  'smaller: their speeds say little.',
)

_TOOLS = os.path.dirname(os.path.abspath(__file__))


def _run(tool: str, *arguments: str) -> None:
  # Warnings of TensorFlow 1.15 about numpy would hide the figures.
  command = [sys.executable, '-W', 'ignore', os.path.join(_TOOLS, tool)]
  subprocess.run(command + list(arguments), check=True)


def _write_records(directory: str) -> str:
  """Writes TFRecords to read; returns their pattern."""
  if not os.path.isdir(FLAGS.bccd_dir):
    print("BCCD is not in '{}': generated images.".format(FLAGS.bccd_dir))
    from tools import demo_data
    from tools.record_sources import conversion, report

    annotated = demo_data.write_images(
      os.path.join(directory, 'images'), seed=0, first=0, count=200
    )
    conversion.convert(
      annotated, report.Report(), directory, 'train', num_shards=4
    )
  else:
    _run(
      'create_tf_record.py',
      '--coco_json=' + os.path.join(FLAGS.bccd_dir, 'instances_train.json'),
      '--image_dir=' + os.path.join(FLAGS.bccd_dir, 'JPEGImages'),
      '--output_dir=' + directory,
      '--name=train',
    )
  return os.path.join(directory, 'train-*.tfrecord')


def main(argv: List[str]) -> None:
  del argv  # Unused.
  print(
    '{}, {} CPUs, Python {}'.format(
      platform.platform(), os.cpu_count(), platform.python_version()
    )
  )
  with tempfile.TemporaryDirectory() as directory:
    records = '--file_pattern=' + _write_records(directory)
    sys.stdout.flush()
    _run('bench_input.py', records)
    _run('bench_network.py')
    _run('bench_memory.py')
    _run('bench_export.py')
    _run('bench_runs.py', records)
  _run('bench_graphs.py')


if __name__ == '__main__':
  program.run(main)
