"""Times the input pipeline against the least that any pipeline has to do.

  python tools/bench_input.py --file_pattern='data/train-*.tfrecord'

The pipeline is RetinaNet's with its defaults, in training mode at 640x640 with
scale jitter 0.8 to 1.2 and batches of 8. The floor reads the same records,
decodes the JPEGs, resizes them to fit 640x640 (the rest is padded, as a batch
needs one size) and batches them, with 2 parallel calls. Each runs in a process
of its own, and they take turns, so that the shares hold on a busy machine.
"""

import json
import resource
import statistics
import time
from typing import Any, Dict, List

import tensorflow.compat.v1 as tf
from absl import flags

from configs import factory as config_factory
from dataloader import input_reader
from tools import bench_timing
from utils import mode_keys, program

FLAGS = flags.FLAGS
flags.DEFINE_string('file_pattern', None, 'Glob of TFRecords.')
flags.mark_flag_as_required('file_pattern')
flags.DEFINE_integer('rounds', 5, 'Rounds of all measurements in turn.', 1)
flags.DEFINE_integer('batches', 40, 'Batches of each measurement.', 1)
flags.DEFINE_string('worker', '', 'Used by the program itself.')

_SIZE, _BATCH = 640, 8
_FLOOR, _PIPELINE = 'floor', 'pipeline'
_AUGMENTED = 'pipeline, AutoAugment v0'
# The policies of the pipelines.
_POLICIES = {_PIPELINE: '', _AUGMENTED: 'v0'}
_MAX_PEAK_GB, _MAX_FIRST_BATCH_SECONDS = 1.2, 4.0
_MIN_SHARE, _AIM_SHARE = 0.5, 0.65
# Of the pipeline without a policy.
_MIN_SHARE_AUGMENTED = 0.55
# What is prefetched while the clock does not run is not measured.
_WARM_UP_BATCHES = 4


def floor_dataset(file_pattern: str) -> tf.data.Dataset:
  """Decoded, resized and padded images, float32 [8, 640, 640, 3]."""
  files = tf.io.gfile.glob(file_pattern)

  def load(record: tf.Tensor) -> tf.Tensor:
    spec = {'image/encoded': tf.FixedLenFeature([], tf.string)}
    encoded = tf.io.parse_single_example(record, spec)['image/encoded']
    image = tf.image.decode_jpeg(encoded, channels=3)
    return tf.image.resize_image_with_pad(image, _SIZE, _SIZE)

  dataset = tf.data.Dataset.from_tensor_slices(files).repeat()
  dataset = dataset.interleave(tf.data.TFRecordDataset, len(files), 1)
  return dataset.map(load, 2).batch(_BATCH, drop_remainder=True).prefetch(1)


def pipeline_dataset(file_pattern: str, policy: str) -> tf.data.Dataset:
  """RetinaNet's training input with an AutoAugment policy, or ''."""
  params = config_factory.config_generator('retinanet')
  params.override(
    {
      'retinanet_parser': {
        'output_size': [_SIZE, _SIZE],
        'aug_scale_min': 0.8,
        'aug_scale_max': 1.2,
        'aug_policy': policy,
      }
    }
  )
  input_fn = input_reader.InputFn(file_pattern, params, mode_keys.TRAIN)
  return input_fn({'batch_size': _BATCH})


def work(name: str) -> Dict[str, float]:
  """Measures one dataset."""
  start = time.perf_counter()
  pattern = FLAGS.file_pattern
  if name == _FLOOR:
    dataset = floor_dataset(pattern)
  else:
    dataset = pipeline_dataset(pattern, _POLICIES[name])
  iterator = tf.data.make_initializable_iterator(dataset)
  fetches = [tensor.op for tensor in tf.nest.flatten(iterator.get_next())]
  with tf.Session() as session:
    session.run(iterator.initializer)
    session.run(fetches)
    first_batch_seconds = time.perf_counter() - start
    for _ in range(_WARM_UP_BATCHES):
      session.run(fetches)
    start, start_cpu = time.perf_counter(), time.process_time()
    for _ in range(FLAGS.batches):
      session.run(fetches)
    count = FLAGS.batches * _BATCH
    return {
      'images_per_second': count / (time.perf_counter() - start),
      'cpu_ms_per_image': (time.process_time() - start_cpu) / count * 1e3,
      'peak_gb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
      'first_batch_seconds': first_batch_seconds,
    }


def _share(
  rounds: Dict[str, List[Dict[str, Any]]], name: str, other: str
) -> float:
  # Neighbours in time are compared, so that a busy minute hits both.
  return statistics.median(
    own['images_per_second'] / reference['images_per_second']
    for own, reference in zip(rounds[name], rounds[other])
  )


def main(argv: List[str]) -> None:
  del argv  # Unused.
  program.quieten_tensorflow()
  if FLAGS.worker:
    print(json.dumps(work(FLAGS.worker)))
    return
  rounds = {name: [] for name in (_FLOOR, *_POLICIES)}
  for _ in range(FLAGS.rounds):
    for name, of_job in rounds.items():
      of_job.append(
        bench_timing.in_own_process(
          'bench_input.py',
          '--worker=' + name,
          '--file_pattern=' + FLAGS.file_pattern,
          '--batches={}'.format(FLAGS.batches),
        )
      )
  row = '{:26}{:>10}{:>10}{:>9}{:>15}'
  print(row.format('input', 'images/s', 'CPU ms', 'peak GB', 'first batch s'))
  medians = {}
  for name, of_job in rounds.items():
    medians[name] = {
      key: statistics.median(result[key] for result in of_job)
      for key in of_job[0]
    }
    shown = ('{:.2f}'.format(value) for value in medians[name].values())
    print(row.format(name, *shown))
  print(
    'pipeline / floor {:.2f} (at least {}, aim {}), peak {:.2f} GB (at most '
    '{}), first batch {:.1f} s (at most {:g})'.format(
      _share(rounds, _PIPELINE, _FLOOR),
      _MIN_SHARE,
      _AIM_SHARE,
      medians[_PIPELINE]['peak_gb'],
      _MAX_PEAK_GB,
      medians[_PIPELINE]['first_batch_seconds'],
      _MAX_FIRST_BATCH_SECONDS,
    )
  )
  print(
    '{} / pipeline {:.2f} (at least {})'.format(
      _AUGMENTED,
      _share(rounds, _AUGMENTED, _PIPELINE),
      _MIN_SHARE_AUGMENTED,
    )
  )


if __name__ == '__main__':
  program.run(main)
