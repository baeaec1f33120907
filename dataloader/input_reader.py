"""Datasets of batches, for training, evaluation and prediction."""

import multiprocessing
from typing import Any, Callable, Dict, Optional, Tuple

import tensorflow.compat.v1 as tf

from dataloader import (
  parser_generator,
  record_files,
  record_index,
  record_order,
  skipped_records,
)
from utils import errors, heap, mode_keys


class InputFn:
  """Reads TFRecords; called with the estimator's `params`, gives a dataset.

  Args:
    file_pattern: glob, or comma-separated file names and globs.
    params: the whole config.
    mode: one of `utils.mode_keys`.
    dataset_type: 'tfrecord'.
    start_step: the step at which training starts or goes on: with the images
      that a training without a stop would have read then.
  """

  def __init__(
    self,
    file_pattern: str,
    params: Any,
    mode: str,
    dataset_type: str = 'tfrecord',
    start_step: int = 0,
  ):
    if dataset_type != 'tfrecord':
      raise errors.ConfigError(
        f'train.train_dataset_type, eval.eval_dataset_type: {dataset_type!r} '
        "is unknown; known is 'tfrecord'."
      )
    self._file_pattern = file_pattern
    self._mode = mode
    self._is_training = mode == mode_keys.TRAIN
    self._parser = parser_generator.parser_generator(params, mode)
    self._train_seed = params.train.seed
    self._start_step = start_step
    self._num_records = 0
    self._second_pattern = (
      params.train.pre_parser_dataset.file_pattern or file_pattern
    )
    self._skips_broken_images = (
      self._is_training and params.train.skip_broken_images
    )

  def __call__(self, params: Dict[str, Any]) -> tf.data.Dataset:
    """Returns the dataset.

    Training data has no end: shuffled, each image once an epoch, in an order
    that depends on `train.seed` (0 if there is none) and the epoch. What is
    jittered how depends on the seed too; without one it differs every time.

    How far a training is follows from its step, as if all steps had had
    this batch, these files and this number of parts. An image that
    `train.skip_broken_images` leaves out counts, too: the next one that decodes
    is taken in its place.

    Other data is read once and in order, and the last batch is filled up with
    padding (`labels['is_padding']`).

    Args:
      params: `params['batch_size']` images to a batch. Of training also
        `params['step_size']`, the images of a step if they are not one batch;
        and if several machines train, `params['part']`, (index, number): the
        one of so many parts of the training data that this one reads. Others
        are not read. See `record_order.epochs`.

    Returns:
      Dataset of (images, labels), or in the prediction modes of
      {'images', 'labels'}; see the parser for the labels.

    Raises:
      DataError: a file is missing or empty.
    """
    heap.keep_freed_memory()
    batch_size = params['batch_size']
    if not self._is_training:
      files = record_files.find_files(self._file_pattern)
      return self.batches(record_order.once(files), batch_size)
    part = params.get('part', (0, 1))
    position = self._start_step * params.get('step_size', batch_size)
    seed, second = self._train_seed or 0, None
    if self._parser.takes_second_record:
      # In an order of their own, or each image would meet itself.
      second = self._read_records(self._second_pattern, ~seed, part, position)
    records = self._read_records(self._file_pattern, seed, part, position)
    return self.batches(records, batch_size, position, part, second)

  def batches(
    self,
    dataset: tf.data.Dataset,
    batch_size: int,
    position: int = 0,
    part: Tuple[int, int] = (0, 1),
    second: Optional[tf.data.Dataset] = None,
  ) -> tf.data.Dataset:
    """Returns the dataset for given records.

    Args:
      dataset: scalar strings, serialized tf.Examples.
      batch_size: images in a batch.
      position: number of records of this part before these, for the jitter.
      part: (index, number) of the part of the training data.
      second: records for a parser that makes an image of two; by default the
        same ones.
    """
    # More calls than processors only hold more images in memory.
    num_calls = multiprocessing.cpu_count()
    parser = self._parser

    def to_data(item):
      if self._skips_broken_images:
        return item
      return parser.decode(parser.parse_record(item))

    def with_draws(records, seed):
      if self._skips_broken_images:
        records = skipped_records.map_and_skip(
          records,
          parser.parse_record,
          parser.decode,
          num_calls,
          self._num_records,
        )
      first = position * part[1] + part[0]
      return records, draws(parser.num_draws, seed, first, part[1])

    if self._is_training:
      seed = self._train_seed
      streams = with_draws(dataset, seed)
      if parser.takes_second_record:
        second = dataset if second is None else second
        streams += with_draws(second, None if seed is None else ~seed)
      # In one, each image is written where the batch will be.
      dataset = tf.data.Dataset.zip(streams).apply(
        tf.data.experimental.map_and_batch(
          tf.autograph.experimental.do_not_convert(
            lambda item, draws, *other: parser.process(
              to_data(item), draws, *map(to_data, other[:1]), *other[1:]
            )
          ),
          batch_size,
          num_parallel_calls=num_calls,
          drop_remainder=True,
        )
      )
    else:
      dataset = _map(
        dataset, lambda item: parser.process(to_data(item)), num_calls
      )
      padding = tf.data.Dataset.range(batch_size - 1)
      dataset = dataset.concatenate(
        _map(padding, lambda _: parser.padding_element())
      ).batch(batch_size, drop_remainder=True)
    # Images are made while labels are computed, each on one processor.
    dataset = _map(dataset.prefetch(1), parser.finish_batch).prefetch(1)
    options = tf.data.Options()
    # There is nothing left to fuse, and to look takes longer than a batch.
    options.experimental_optimization.apply_default_optimizations = False
    options.experimental_threading.max_intra_op_parallelism = 1
    return dataset.with_options(options)

  def _read_records(
    self, pattern: str, seed: int, part: Tuple[int, int], position: int
  ) -> tf.data.Dataset:
    """Serialized examples of a part of the training data, without end."""
    files = record_files.find_files(pattern)
    # A run that meets what is damaged says what it is.
    counts = record_index.count_records(files, is_strict=False)
    self._num_records = max(self._num_records, sum(counts))
    return record_order.epochs(files, counts, seed, position, part)


def draws(
  count: int, seed: Optional[int], first: int = 0, step: int = 1
) -> tf.data.Dataset:
  """Endless dataset of the random numbers of one image each.

  They belong to a position in the stream and not to a thread, so that a seed
  makes them reproducible.

  Args:
    count: random numbers of an image.
    seed: None for others every time.
    first: position of the first image among those of all parts.
    step: number of parts.
  """

  def draw(index):
    if seed is None:
      return tf.random.uniform([count])
    return tf.random.stateless_uniform([count], [seed, index])

  return _map(tf.data.experimental.Counter(first, step), draw)


def _map(
  dataset: tf.data.Dataset,
  function: Callable[..., Any],
  num_parallel_calls: Optional[int] = None,
) -> tf.data.Dataset:
  # AutoGraph would take ten seconds to find nothing to convert.
  return dataset.map(
    tf.autograph.experimental.do_not_convert(function), num_parallel_calls
  )
