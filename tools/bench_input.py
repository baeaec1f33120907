"""Times the input pipeline against the least that any pipeline has to do.

  python tools/bench_input.py --file_pattern='data/train-*.tfrecord'

`make bench` runs it too, on records that it writes itself.

The pipeline is RetinaNet's with its defaults, in training mode at 640x640 with
scale jitter 0.8 to 1.2 and batches of 8. The floor reads the same records,
decodes the JPEGs, resizes them to fit 640x640 (the rest is padded, as a batch
needs one size) and batches them, with 2 parallel calls; the bare floor leaves
out the padding, which works for images of equal size only. Each runs in a
process of its own, and the processes take turns, so that the shares hold on a
busy machine.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from typing import Any, Callable, Dict, List

import tensorflow.compat.v1 as tf
from absl import flags

from configs import factory as config_factory
from dataloader import input_reader
from utils import errors, mode_keys, program

FLAGS = flags.FLAGS
flags.DEFINE_string('file_pattern', None, 'Glob of TFRecords.')
flags.mark_flag_as_required('file_pattern')
flags.DEFINE_integer('rounds', 5, 'Rounds of all measurements in turn.', 1)
flags.DEFINE_integer('batches', 40, 'Batches of each measurement.', 1)
flags.DEFINE_string('json', '', 'Also write the figures to this file.')
flags.DEFINE_string('worker', '', 'Used by the program itself.')

_SIZE, _BATCH = 640, 8
_FLOOR, _PIPELINE = 'floor', 'pipeline'
_AUGMENTED = 'pipeline, AutoAugment v0'
# Changes of the pipeline's config.
_PIPELINES: Dict[str, Dict[str, Any]] = {
  _PIPELINE: {},
  'pipeline, no transpose_input': {'train': {'transpose_input': False}},
  'pipeline, float32': {'architecture': {'use_bfloat16': False}},
  _AUGMENTED: {'retinanet_parser': {'aug_policy': 'v0'}},
}
_MAX_PEAK_GB, _MAX_FIRST_BATCH_SECONDS = 1.2, 4.0
_MIN_SHARE, _AIM_SHARE = 0.5, 0.65
# Of the pipeline without a policy.
_MIN_SHARE_AUGMENTED = 0.55


def floor_dataset(file_pattern: str, pads: bool = True) -> tf.data.Dataset:
  """Decoded and resized images, float32 [8, height, width, 3]."""
  files = tf.io.gfile.glob(file_pattern)

  def load(record: tf.Tensor) -> tf.Tensor:
    spec = {'image/encoded': tf.FixedLenFeature([], tf.string)}
    encoded = tf.io.parse_single_example(record, spec)['image/encoded']
    image = tf.image.decode_jpeg(encoded, channels=3)
    if pads:
      return tf.image.resize_image_with_pad(image, _SIZE, _SIZE)
    return tf.image.resize_images(
      image, [_SIZE, _SIZE], preserve_aspect_ratio=True
    )

  dataset = tf.data.Dataset.from_tensor_slices(files).repeat()
  dataset = dataset.interleave(tf.data.TFRecordDataset, len(files), 1)
  return dataset.map(load, 2).batch(_BATCH, drop_remainder=True).prefetch(1)


def pipeline_dataset(
  file_pattern: str, override: Dict[str, Any]
) -> tf.data.Dataset:
  """RetinaNet's training input; `override` changes its config."""
  params = config_factory.config_generator('retinanet')
  params.override(
    {
      'retinanet_parser': {
        'output_size': [_SIZE, _SIZE],
        'aug_scale_min': 0.8,
        'aug_scale_max': 1.2,
      }
    }
  )
  params.override(override)
  input_fn = input_reader.InputFn(file_pattern, params, mode_keys.TRAIN)
  return input_fn({'batch_size': _BATCH})


_DATASETS: Dict[str, Callable[[str], tf.data.Dataset]] = {
  _FLOOR: floor_dataset,
  'bare floor': lambda pattern: floor_dataset(pattern, pads=False),
  **{
    name: lambda pattern, override=override: pipeline_dataset(pattern, override)
    for name, override in _PIPELINES.items()
  },
}


def work(name: str) -> None:
  """Builds one dataset, then measures whenever a line comes in."""
  start = time.perf_counter()
  iterator = tf.data.make_initializable_iterator(
    _DATASETS[name](FLAGS.file_pattern)
  )
  fetches = [tensor.op for tensor in tf.nest.flatten(iterator.get_next())]
  with tf.Session() as session:
    session.run(iterator.initializer)
    session.run(fetches)
    _reply(first_batch_seconds=time.perf_counter() - start)
    for _ in sys.stdin:
      # What was prefetched in the break is not measured.
      for _ in range(4):
        session.run(fetches)
      start, start_cpu = time.perf_counter(), time.process_time()
      for _ in range(FLAGS.batches):
        session.run(fetches)
      count = FLAGS.batches * _BATCH
      _reply(
        images_per_second=count / (time.perf_counter() - start),
        cpu_ms_per_image=(time.process_time() - start_cpu) / count * 1e3,
        peak_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
      )


def _reply(**values: float) -> None:
  print(json.dumps(values), flush=True)


class _Worker:
  """A process that measures one dataset when told to."""

  def __init__(self, name: str, file_pattern: str):
    command = [
      sys.executable,
      os.path.abspath(__file__),
      '--worker=' + name,
      '--file_pattern=' + file_pattern,
      '--batches={}'.format(FLAGS.batches),
    ]
    self._process = subprocess.Popen(
      command,
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
      universal_newlines=True,
    )
    self.first_batch_seconds = self._read()['first_batch_seconds']
    self.rounds: List[Dict[str, float]] = []

  def measure(self) -> None:
    self._process.stdin.write('\n')
    self._process.stdin.flush()
    self.rounds.append(self._read())

  def close(self) -> None:
    self._process.stdin.close()
    self._process.wait()

  def _read(self) -> Dict[str, float]:
    line = self._process.stdout.readline()
    if not line:
      raise errors.UserError(
        'A measurement ended early; run python tools/bench_input.py '
        '--worker=pipeline --file_pattern=... to see why.'
      )
    return json.loads(line)


def measure(file_pattern: str) -> Dict[str, Dict[str, float]]:
  """Medians by name of the dataset; `share` is of the floor's speed."""
  workers = {name: _Worker(name, file_pattern) for name in _DATASETS}
  for _ in range(FLAGS.rounds):
    for worker in workers.values():
      worker.measure()
  for worker in workers.values():
    worker.close()
  figures = {}
  for name, worker in workers.items():
    figures[name] = {
      key: statistics.median(values[key] for values in worker.rounds)
      for key in ('images_per_second', 'cpu_ms_per_image')
    }
    figures[name]['peak_gb'] = worker.rounds[-1]['peak_gb']
    figures[name]['first_batch_seconds'] = worker.first_batch_seconds
    figures[name]['share'] = _share(worker, workers[_FLOOR])
    figures[name]['share_of_pipeline'] = _share(worker, workers[_PIPELINE])
  return figures


def _share(worker: _Worker, reference: _Worker) -> float:
  # Neighbours in time are compared, so that a busy minute hits both.
  return statistics.median(
    own['images_per_second'] / other['images_per_second']
    for own, other in zip(worker.rounds, reference.rounds)
  )


def _print(figures: Dict[str, Dict[str, float]]) -> None:
  print(
    '{:30}{:>10}{:>8}{:>10}{:>9}{:>13}'.format(
      'input', 'images/s', 'share', 'CPU ms', 'peak GB', 'first batch s'
    )
  )
  for name, values in figures.items():
    print(
      '{:30}{images_per_second:10.1f}{share:8.2f}{cpu_ms_per_image:10.2f}'
      '{peak_gb:9.2f}{first_batch_seconds:13.2f}'.format(name, **values)
    )
  pipeline = figures[_PIPELINE]
  print(
    'pipeline / floor {:.2f} (at least {}, aim {}), peak {:.2f} GB (at most '
    '{}), first batch {:.1f} s (at most {:g})'.format(
      pipeline['share'],
      _MIN_SHARE,
      _AIM_SHARE,
      pipeline['peak_gb'],
      _MAX_PEAK_GB,
      pipeline['first_batch_seconds'],
      _MAX_FIRST_BATCH_SECONDS,
    )
  )
  print(
    '{} / pipeline {:.2f} (at least {})'.format(
      _AUGMENTED,
      figures[_AUGMENTED]['share_of_pipeline'],
      _MIN_SHARE_AUGMENTED,
    )
  )


def main(argv: List[str]) -> None:
  del argv  # Unused.
  program.quieten_tensorflow()
  if FLAGS.worker:
    work(FLAGS.worker)
    return
  figures = measure(FLAGS.file_pattern)
  _print(figures)
  if FLAGS.json:
    with open(FLAGS.json, 'w') as f:
      json.dump(figures, f, indent=2)


if __name__ == '__main__':
  program.run(main)
