"""The input pipeline against the least that any pipeline has to do.

The pipelines are the model's with its defaults at 640x640 and batches of 8: in
training with scale jitter 0.8 to 1.2, also with AutoAugment, with jitter 0.1 to
2.0, and in evaluation. The floor reads the same records,
decodes the JPEGs, resizes them to fit 640x640 (the rest is padded, as a batch
needs one size) and batches them, with 2 parallel calls. A training that goes on
reads the records before its position again, without decoding them: here those
of an epoch, whose files are there four times.

Copy-paste, which takes two images for one, is measured against the pipeline of
Mask R-CNN without it. Records have ellipses for masks, which blood cells nearly
are.
"""

import os
import resource
import tempfile
import time
from typing import Any, Dict, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from configs import resolver
from dataloader import input_reader, record_index, record_order
from tools.bench import turns
from tools.record_sources import (
  annotations,
  conversion,
  detection_records,
  report,
)
from utils import mode_keys

_SIZE, _BATCH = 640, 8
_FLOOR, _PIPELINE = 'floor', 'pipeline'
_AUGMENTED = 'pipeline, AutoAugment v0'
_LARGE_JITTER = 'pipeline, jitter 0.1 to 2.0'
_EVALUATION = 'pipeline, evaluation'
_FORWARD = 'forward to a position'
# Scale jitter and policy of the pipelines.
_PIPELINES = {
  _PIPELINE: (0.8, 1.2, ''),
  _AUGMENTED: (0.8, 1.2, 'v0'),
  _LARGE_JITTER: (0.1, 2.0, ''),
  _EVALUATION: (1.0, 1.0, ''),
}
_TWO_STAGE, _COPY_PASTE = 'Mask R-CNN', 'Mask R-CNN, copy-paste'
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


def _pipeline(file_pattern: str, name: str, batches: int) -> tf.data.Dataset:
  """A pipeline of so many batches at least."""
  override = _two_stage_override(name == _COPY_PASTE)
  if name in _PIPELINES:
    keys = ('aug_scale_min', 'aug_scale_max', 'aug_policy')
    parser = dict(zip(keys, _PIPELINES[name]))
    override = turns.override(_SIZE, parser=parser)
  params = resolver.resolve(
    params_override=override, flags={'use_tpu': True}
  ).params
  mode = mode_keys.TRAIN
  if name == _EVALUATION:
    mode = mode_keys.EVAL
    # It ends with its files.
    counts = record_index.count_records(tf.io.gfile.glob(file_pattern))
    repeats = 1 + batches * _BATCH // sum(counts)
    file_pattern = ','.join([file_pattern] * repeats)
  input_fn = input_reader.InputFn(file_pattern, params, mode)
  return input_fn({'batch_size': _BATCH})


def _two_stage_override(pastes: bool) -> Dict[str, Any]:
  low, high, _ = _PIPELINES[_PIPELINE]
  return {
    'type': 'mask_rcnn',
    'architecture': {
      'pre_parser': 'extract_objects_parser' if pastes else None
    },
    'maskrcnn_parser': {
      'output_size': [_SIZE, _SIZE],
      'aug_scale_min': low,
      'aug_scale_max': high,
      'copy_paste': pastes,
    },
  }


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
    dataset = _pipeline(file_pattern, name, 1 + _WARM_UP_BATCHES + batches)
  return _run(dataset, batches, images_at_once, name == _FORWARD, start)


def _run(
  dataset: tf.data.Dataset,
  batches: int,
  images_at_once: int,
  restarts: bool,
  start: float,
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


def _compare(
  names: Sequence[str], file_pattern: str, options: Any
) -> turns.Results:
  results = turns.measure(
    {
      name: turns.in_own_process(
        'pipeline', name, file_pattern, options.batches
      )
      for name in names
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
  return results


def measure_copy_paste(
  options: Any, annotated: annotations.AnnotatedSet
) -> None:
  """Prints the table of both two-stage pipelines and their ratio."""
  with tempfile.TemporaryDirectory() as directory:
    pattern = options.file_pattern or _write_masks(annotated, directory)
    results = _compare((_TWO_STAGE, _COPY_PASTE), pattern, options)
  share = results.ratio(_TWO_STAGE, _COPY_PASTE, 'CPU ms')
  print(f'with / without, images by CPU time {share:.2f} (at least 0.6)')


def _write_masks(annotated: annotations.AnnotatedSet, directory: str) -> str:
  images = [
    image._replace(boxes=list(map(_with_ellipse, image.boxes)))
    for image in annotated.images
  ]
  conversion.convert(
    {'masks': annotated._replace(images=images)},
    report.Report(),
    directory,
    num_shards=8,
    kind=detection_records.DetectionRecords(include_masks=True),
  )
  return os.path.join(directory, 'masks-*.tfrecord')


def _with_ellipse(box: annotations.Box) -> annotations.Box:
  angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
  x = (box.xmin + box.xmax + np.cos(angles) * (box.xmax - box.xmin)) / 2
  y = (box.ymin + box.ymax + np.sin(angles) * (box.ymax - box.ymin)) / 2
  return box._replace(segmentation=[np.stack([x, y], axis=1).ravel().tolist()])


def measure(options: Any) -> None:
  """Prints the table of the input and its shares."""
  names = (_FLOOR, *_PIPELINES, _FORWARD)
  results = _compare(names, options.file_pattern, options)
  print('at most, for the pipeline: peak 0.45 GB, first batch 1.2 s')
  for name, other, goal in (
    (_PIPELINE, _FLOOR, 0.9),
    (_AUGMENTED, _PIPELINE, 0.92),
    (_LARGE_JITTER, _FLOOR, 1.0),
    (_EVALUATION, _FLOOR, 0.95),
    (_FORWARD, _PIPELINE, 20),
  ):
    share = results.ratio(name, other, 'images/s')
    # What other programs take away is not in it.
    cpu = results.ratio(other, name, 'CPU ms')
    print(f'{name} / {other} {share:.2f}, by CPU {cpu:.2f} (at least {goal})')
