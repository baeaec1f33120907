"""The input pipeline against the least that any pipeline has to do.

The pipeline is the model's with its defaults, in training mode at 640x640 with
scale jitter 0.8 to 1.2 and batches of 8. The floor reads the same records,
decodes the JPEGs, resizes them to fit 640x640 (the rest is padded, as a batch
needs one size) and batches them, with 2 parallel calls. A training that goes on
reads the records before its position again, without decoding them: here those
of an epoch, whose files are there four times.
"""

import resource
import time
from typing import Any, Tuple

import tensorflow.compat.v1 as tf

from configs import resolver
from dataloader import input_reader, record_index, record_order
from tools.bench import turns
from utils import mode_keys

_SIZE, _BATCH = 640, 8
_FLOOR, _PIPELINE = 'floor', 'pipeline'
_AUGMENTED = 'pipeline, AutoAugment v0'
_FORWARD = 'forward to a position'
# The policies of the pipelines.
_POLICIES = {_PIPELINE: '', _AUGMENTED: 'v0'}
_ROUNDS = 5
# What is prefetched while the clock does not run is not measured.
_WARM_UP_BATCHES = 4


def _floor(file_pattern: str) -> tf.data.Dataset:
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


def _pipeline(file_pattern: str, policy: str) -> tf.data.Dataset:
  """The model's training input with an AutoAugment policy, or ''."""
  parser = {'aug_scale_min': 0.8, 'aug_scale_max': 1.2, 'aug_policy': policy}
  params = resolver.resolve(
    params_override=turns.override(_SIZE, parser=parser),
    flags={'use_tpu': True},
  ).params
  input_fn = input_reader.InputFn(file_pattern, params, mode_keys.TRAIN)
  return input_fn({'batch_size': _BATCH})


def _forward(file_pattern: str) -> Tuple[tf.data.Dataset, int]:
  """The last record of an epoch, and the number of those before it."""
  # Of BCCD as many as are read in turns.
  files = 4 * tf.io.gfile.glob(file_pattern)
  counts = record_index.count_records(files)
  position = sum(counts) - 1
  return record_order.epochs(files, counts, 0, position), position


def work(name: str, file_pattern: str, batches: int) -> turns.Figures:
  """Measures one dataset."""
  start = time.perf_counter()
  images_at_once = _BATCH
  if name == _FLOOR:
    dataset = _floor(file_pattern)
  elif name == _FORWARD:
    dataset, images_at_once = _forward(file_pattern)
  else:
    dataset = _pipeline(file_pattern, _POLICIES[name])
  return run(dataset, batches, images_at_once, name == _FORWARD, start)


def run(
  dataset: tf.data.Dataset,
  batches: int,
  images_at_once: int,
  restarts: bool = False,
  start: float = 0.0,
) -> turns.Figures:
  """Reads batches of a dataset.

  Args:
    dataset: endless, if it does not restart.
    batches: to measure.
    images_at_once: images of a batch.
    restarts: whether each is the first one.
    start: when the work for the first batch began.
  """
  iterator = tf.data.make_initializable_iterator(dataset)
  fetches = [tensor.op for tensor in tf.nest.flatten(iterator.get_next())]
  with tf.Session() as session:

    def advance() -> None:
      if restarts:
        session.run(iterator.initializer)
      session.run(fetches)

    session.run(iterator.initializer)
    advance()
    first_batch_seconds = time.perf_counter() - start
    for _ in range(_WARM_UP_BATCHES):
      advance()
    start, start_cpu = time.perf_counter(), time.process_time()
    for _ in range(batches):
      advance()
  count = batches * images_at_once
  return {
    'images/s': count / (time.perf_counter() - start),
    'CPU ms': (time.process_time() - start_cpu) / count * 1e3,
    'peak GB': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    'first batch s': first_batch_seconds,
  }


def measure(options: Any) -> None:
  """Prints the table of the input and its shares."""
  results = turns.measure(
    {
      name: turns.in_own_process(
        'pipeline', name, options.file_pattern, options.batches
      )
      for name in (_FLOOR, *_POLICIES, _FORWARD)
    },
    options.rounds or _ROUNDS,
  )
  columns = ('images/s', 'CPU ms', 'peak GB', 'first batch s')
  turns.print_table(
    ('input', *columns),
    (
      (name, *(results.median(name, column) for column in columns))
      for name in results
    ),
  )
  print('at most, for the pipeline: peak 1.2 GB, first batch 4 s')
  for name, other, goal in (
    (_PIPELINE, _FLOOR, 'at least 0.5, aim 0.65'),
    (_AUGMENTED, _PIPELINE, 'at least 0.55'),
    (_FORWARD, _PIPELINE, 'at least 20'),
  ):
    share = results.ratio(name, other, 'images/s')
    print(f'{name} / {other} {share:.2f} ({goal})')
