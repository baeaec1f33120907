"""Measures conversion, input, networks, memory, scores, runs, graphs here.

  make bench
  python tools/benchmark.py --figure=graphs --presets=retinanet_demo --steps=1

Speeds are shares of what the machine reaches in the same run, so they can be
compared between machines and busy hours; each line names what it should be.
The modules of tools/bench say what each figure is.
"""

import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from typing import Any, List

from absl import flags

from tools.bench import turns
from utils import program

_FIGURES = {
  'conversion': ('conversion', 'measure'),
  'input': ('pipeline', 'measure'),
  'copy_paste': ('pipeline', 'measure_copy_paste'),
  'network': ('network', 'measure'),
  'two_stage': ('two_stage', 'measure'),
  'memory': ('training', 'measure_memory'),
  'summaries': ('training', 'measure_summaries'),
  'formats': ('formats', 'measure'),
  'scoring': ('scoring', 'measure'),
  'masks': ('masks', 'measure'),
  'runs': ('runs', 'measure'),
  'graphs': ('training', 'measure_graphs'),
}

FLAGS = flags.FLAGS
flags.DEFINE_enum('figure', None, list(_FIGURES), 'Default: all, in turn.')
flags.DEFINE_string('file_pattern', None, 'TFRecords; default: BCCD.')
flags.DEFINE_string(
  'bccd_dir',
  os.path.join(os.environ.get('DETECTION_TEST_DATA', '../shared/data'), 'bccd'),
  'BCCD data set. Without it generated images are read instead, which are '
  'smaller: their speeds say little.',
)
flags.DEFINE_integer('rounds', None, "Rounds; default: a figure's own.", 1)
flags.DEFINE_integer('size', None, "Image side; default: a figure's own.", 128)
flags.DEFINE_integer('depth', 50, 'Depth of the ResNet.')
flags.DEFINE_integer('batches', 40, 'Of each measurement of the pipeline.', 1)
flags.DEFINE_list('presets', [], 'Presets of the graphs; default: all.')
flags.DEFINE_integer('steps', 0, 'Training steps to time for each graph.', 0)
flags.DEFINE_string('worker', None, 'Used by the program itself.')


def _annotated_set(directory: str) -> Any:
  """Returns images to convert, as `annotations.AnnotatedSet`."""
  from tools import demo_data
  from tools.record_sources import coco, report

  if os.path.isdir(FLAGS.bccd_dir):
    return coco.read_coco(
      os.path.join(FLAGS.bccd_dir, 'instances_train.json'),
      os.path.join(FLAGS.bccd_dir, 'JPEGImages'),
      report.Report(),
    )
  print(f"BCCD is not in '{FLAGS.bccd_dir}': generated images.")
  return demo_data.write_images(
    os.path.join(directory, 'images'), seed=0, first=0, count=200
  )


def _write_records(directory: str) -> str:
  """Writes TFRecords to read; returns their pattern."""
  from tools.record_sources import conversion, report

  conversion.convert(
    {'train': _annotated_set(directory)}, report.Report(), directory, 8
  )
  return os.path.join(directory, 'train-*.tfrecord')


def _measure(figure: str, directory: str) -> None:
  """Measures one figure, in this process."""
  if figure in ('input', 'runs', 'formats') and not FLAGS.file_pattern:
    FLAGS.file_pattern = _write_records(directory)
  module, function = _FIGURES[figure]
  arguments = []
  if figure in ('conversion', 'copy_paste'):
    arguments = [_annotated_set(directory)]
  getattr(_module(module), function)(FLAGS, *arguments)


def _module(name: str) -> Any:
  # They import TensorFlow.
  return importlib.import_module('tools.bench.' + name)


def main(argv: List[str]) -> None:
  del argv  # Unused.
  program.quieten_tensorflow()
  if FLAGS.worker:
    module, arguments = json.loads(FLAGS.worker)
    print(json.dumps(_module(module).work(*arguments)))
    return
  if FLAGS.figure:
    with tempfile.TemporaryDirectory() as directory:
      _measure(FLAGS.figure, directory)
    return
  print(
    f'{platform.platform()}, {os.cpu_count()} CPUs, Python '
    f'{platform.python_version()}',
    flush=True,
  )
  # Each in a process of its own: what one leaves would slow the next.
  for figure in _FIGURES:
    subprocess.run(
      turns.benchmark_command(*sys.argv[1:], '--figure=' + figure), check=True
    )


if __name__ == '__main__':
  program.run(main)
