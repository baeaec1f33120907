"""Datasets of batches, for training, evaluation and prediction."""

import logging
import multiprocessing
from typing import Any, Callable, Dict, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader import detection_parser, factory, left_out, record_files
from utils import errors, mode_keys

_log = logging.getLogger(__name__)

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
    self._train_seed = params.train.seed
    self._start_step = start_step
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
      params: `params['batch_size']` images to a batch; if several machines
        train, `params['part']` is (index, number): the one of so many parts of
        the training data that this one reads. Others are not read.

    Returns:
      Dataset of (images, labels), or in the prediction modes of
      {'images', 'labels'}; see the parser for the labels.

    Raises:
      DataError: a file is missing or empty.
    """
    part = params.get('part', (0, 1)) if self._is_training else (0, 1)
    seed = _stream_seed(self._train_seed, self._start_step, part[0])
    records = self._read_records(seed, *part)
    return self.batches(records, params['batch_size'], seed)

  def batches(
    self,
    dataset: tf.data.Dataset,
    batch_size: int,
    seed: Optional[int] = None,
  ) -> tf.data.Dataset:
    """Returns the dataset for given records.

    Args:
      dataset: scalar strings, serialized tf.Examples.
      batch_size: images in a batch.
      seed: of the jitter.
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
      dataset = tf.data.Dataset.zip((dataset, draws(seed)))
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
      not self._is_training or seed is not None
    )
    return dataset.with_options(options).prefetch(1)

  def _read_records(
    self, seed: Optional[int], part: int, num_parts: int
  ) -> tf.data.Dataset:
    """Dataset of serialized examples: in training those of one part."""
    files = record_files.find_files(self._file_pattern)
    read = tf.data.TFRecordDataset
    if len(files) % num_parts == 0:
      files = files[part::num_parts]
    else:
      # Whole files would give the records of some parts a larger weight.
      _log.warning(
        'The number of files of %s, %d, is no multiple of the %d machines, so '
        'each of them reads all files. Records in more files save that.',
        self._file_pattern,
        len(files),
        num_parts,
      )

      def read(file):
        return tf.data.TFRecordDataset(file).shard(num_parts, part)

    dataset = tf.data.Dataset.from_tensor_slices(files)
    if self._is_training:
      dataset = dataset.shuffle(len(files), seed=seed).repeat()
    cycle_length = min(len(files), _NUM_INTERLEAVED_FILES)
    dataset = dataset.interleave(
      read,
      cycle_length=cycle_length,
      block_length=1,
      num_parallel_calls=cycle_length,
    )
    if self._is_training:
      dataset = dataset.shuffle(_SHUFFLE_BUFFER, seed=seed)
    return dataset


def draws(seed: Optional[int]) -> tf.data.Dataset:
  """Endless dataset of the random numbers of one image each.

  They belong to a position in the stream and not to a thread, so that a seed
  makes them reproducible.
  """
  shape = [detection_parser.NUM_DRAWS]

  def draw(index):
    if seed is None:
      return tf.random.uniform(shape)
    return tf.random.stateless_uniform(shape, [seed, index])

  return _map(tf.data.experimental.Counter(), draw)


def _stream_seed(
  seed: Optional[int], start_step: int, part: int
) -> Optional[int]:
  """Seed of the data from `start_step` on; None if there is no seed."""
  if seed is None or not (start_step or part):
    return seed
  entropy = [seed % 2**32, start_step]  # A sequence has no negative numbers.
  if part:
    entropy.append(part)
  mixed = np.random.SeedSequence(entropy)
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
