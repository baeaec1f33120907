"""Datasets of batches, for training, evaluation and prediction."""

import multiprocessing
from typing import Any, Callable, Dict, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader import detection_parser, factory, left_out, record_files
from utils import errors, mode_keys

# TFRecord files that are read in turns, so that a batch mixes their images.
_NUM_INTERLEAVED_FILES = 32
_SHUFFLE_BUFFER = 64


class InputFn:
  """Reads TFRecords; called with the estimator's `params`, gives a dataset.

  Args:
    file_pattern: glob, or comma-separated file names and globs.
    params: the whole config.
    mode: one of `utils.mode_keys`.
    dataset_type: 'tfrecord'.
    start_step: the step at which training starts or goes on. With `train.seed`
      each one has its own order and jitter, so that a training in several
      parts does not see the same first records in each.
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
        'train.train_dataset_type, eval.eval_dataset_type: {!r} is unknown; '
        "known is 'tfrecord'.".format(dataset_type)
      )
    self._file_pattern = file_pattern
    self._mode = mode
    self._is_training = mode == mode_keys.TRAIN
    self._parser = factory.parser_generator(params, mode)
    self._seed = _stream_seed(params.train.seed, start_step)
    self._skips_broken_images = (
      self._is_training and params.train.skip_broken_images
    )

  def __call__(self, params: Dict[str, Any]) -> tf.data.Dataset:
    """Returns the dataset.

    Training data is repeated without end and shuffled; with `train.seed` in
    the same way every time that training starts at the same step. Other data
    is read once and in order, and the last batch is filled up with padding
    (`labels['is_padding']`).

    Args:
      params: `params['batch_size']` is the only one that is read.

    Returns:
      Dataset of (images, labels), or in the prediction modes of
      {'images', 'labels'}; see the parser for the labels.

    Raises:
      DataError: a file is missing or empty.
    """
    return self.batches(self._read_records(), params['batch_size'])

  def batches(
    self, dataset: tf.data.Dataset, batch_size: int
  ) -> tf.data.Dataset:
    """Returns the dataset for given records.

    Args:
      dataset: scalar strings, serialized tf.Examples.
      batch_size: images in a batch.
    """
    # More calls than processors only hold more images in memory.
    num_calls = multiprocessing.cpu_count()
    parser = self._parser
    if self._skips_broken_images:
      dataset = _map(dataset, parser.parse_record, num_calls)
      dataset = left_out.map_and_skip(dataset, parser.decode, num_calls)

    def to_data(item):
      if self._skips_broken_images:
        return item
      return parser.decode(parser.parse_record(item))

    if self._is_training:
      dataset = tf.data.Dataset.zip((dataset, self.draws()))
      dataset = _map(
        dataset,
        lambda item, draws: parser.process(to_data(item), draws),
        num_calls,
      )
    else:
      dataset = _map(
        dataset, lambda item: parser.process(to_data(item)), num_calls
      )
      padding = tf.data.Dataset.range(batch_size - 1)
      dataset = dataset.concatenate(
        _map(padding, lambda _: parser.padding_element())
      )
    dataset = dataset.batch(batch_size, drop_remainder=True)
    dataset = _map(dataset, parser.finish_batch)
    if parser.delivers_groundtruth:
      dataset = left_out.count_cut_objects(
        dataset, parser.num_objects, parser.max_num_instances
      )
    options = tf.data.Options()
    options.experimental_deterministic = (
      not self._is_training or self._seed is not None
    )
    return dataset.with_options(options).prefetch(1)

  def _read_records(self) -> tf.data.Dataset:
    """Dataset of serialized examples."""
    files = record_files.find_files(self._file_pattern)
    dataset = tf.data.Dataset.from_tensor_slices(files)
    if self._is_training:
      dataset = dataset.shuffle(len(files), seed=self._seed).repeat()
    cycle_length = min(len(files), _NUM_INTERLEAVED_FILES)
    dataset = dataset.interleave(
      tf.data.TFRecordDataset,
      cycle_length=cycle_length,
      block_length=1,
      num_parallel_calls=cycle_length,
    )
    if self._is_training:
      dataset = dataset.shuffle(_SHUFFLE_BUFFER, seed=self._seed)
    return dataset

  def draws(self) -> tf.data.Dataset:
    """Endless dataset of the random numbers of one image each.

    They belong to a position in the stream and not to a thread, so that a seed
    makes them reproducible.
    """
    shape = [detection_parser.NUM_DRAWS]

    def draw(index):
      if self._seed is None:
        return tf.random.uniform(shape)
      return tf.random.stateless_uniform(shape, [self._seed, index])

    return _map(tf.data.experimental.Counter(), draw)


def _stream_seed(seed: Optional[int], start_step: int) -> Optional[int]:
  """Seed of the data from `start_step` on; None if there is no seed."""
  if seed is None or not start_step:
    return seed
  # A seed sequence takes no negative numbers.
  mixed = np.random.SeedSequence([seed % 2**32, start_step])
  return int(mixed.generate_state(1)[0])


def _map(
  dataset: tf.data.Dataset,
  function: Callable[..., Any],
  num_parallel_calls: Optional[int] = None,
) -> tf.data.Dataset:
  # AutoGraph would take ten seconds to find nothing to convert.
  return dataset.map(
    tf.autograph.experimental.do_not_convert(function), num_parallel_calls
  )
