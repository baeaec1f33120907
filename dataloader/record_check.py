"""Records that the input pipeline cannot use, with reasons.

Inside a graph neither the file nor the position of a record is known. So when a
run fails on its data, the files are read once more, one record after another.
"""

import logging
import re
from typing import (
  Any,
  Callable,
  Iterator,
  Optional,
  Sequence,
)

import tensorflow.compat.v1 as tf
from google.protobuf import message

from dataloader import (
  parser_generator,
  record_contents,
  record_files,
  record_index,
  record_reader,
  skipped_records,
)
from ops import image_decoding
from utils import errors, mode_keys

_log = logging.getLogger(__name__)

_DECODING_FAILED = re.compile('decode|jpe?g|png|gif|bmp', re.IGNORECASE)


# What is looked at before a run.
_FEW_FILES, _FEW_RECORDS = 8, 2
_MORE_RECORDS = 500


class RecordChecker:
  """Checks records as the input pipeline would use them.

  Args:
    num_classes: number of classes including the background, 0.
    decode_images: also decode every image and mask, which takes most of the
      time.
    on_good_record: gets the features of each record without a problem.
    contents: what records have to hold beside the image.
  """

  def __init__(
    self,
    num_classes: int,
    decode_images: bool = True,
    on_good_record: Callable[[Any], None] = lambda feature: None,
    contents: record_contents.Contents = record_contents.OBJECTS,
  ):
    self._contents = contents
    self._reader = record_reader.RecordReader(contents.kinds)
    self._on_good_record = on_good_record
    self._num_classes = num_classes
    self._decode = _callable(_image_shape) if decode_images else None
    self.num_records = 0

  def problems(
    self, files: Sequence[str], most: Optional[int] = None
  ) -> Iterator[record_reader.Problem]:
    """Reads the records of files; yields one problem a bad record.

    Args:
      files: TFRecord files.
      most: records of a file to read, from its start; all if None.
    """
    for record in self._reader.read(files, most):
      self.num_records += not record.is_lost
      if not record.problem:
        reason = self._contents.find_problem(
          record.feature, self._num_classes
        ) or self._check_images(record.feature)
        if not reason:
          self._on_good_record(record.feature)
        else:
          record = record.with_problem('', reason)
      if record.problem:
        yield record.problem

  def _check_images(self, feature: Any) -> Optional[str]:
    encoded = feature['image/encoded'].bytes_list.value
    if self._decode is None:
      return None
    try:
      self._decode(encoded[0])
    except tf.errors.OpError as error:
      return (
        f'the image does not decode ({error.message.splitlines()[0]}). It has '
        'to be a JPEG, PNG, BMP or GIF image that is not animated. In '
        'training, train.skip_broken_images=true leaves such images out.'
      )
    for key in self._contents.images:
      for number, content in enumerate(feature[key].bytes_list.value):
        try:
          self._decode(content)
        except tf.errors.OpError as error:
          return (
            f'number {number} of feature {key} does not decode '
            f'({error.message.splitlines()[0]}).'
          )
    return None


def _image_shape(encoded: tf.Tensor) -> tf.Tensor:
  return tf.shape(image_decoding.decode_image(encoded))


def _callable(function: Callable[[tf.Tensor], Any]) -> Callable[[bytes], Any]:
  graph = tf.Graph()
  with graph.as_default():
    content = tf.placeholder(tf.string, [])
    result = function(content)
  # Runs without a `with` block, since it is called for every record.
  session = tf.Session(
    graph=graph, config=tf.ConfigProto(device_count={'GPU': 0})
  )
  return session.make_callable(result, feed_list=[content])


def explain_failure(
  file_pattern: str,
  params: Any,
  error: Exception,
  contents: Optional[record_contents.Contents] = None,
) -> Optional[errors.DataError]:
  """Names the record that made a run fail.

  Args:
    file_pattern: files that the run read.
    params: the whole config.
    error: what the run raised.
    contents: what the records have to hold; of training if None.

  Returns:
    The error to show, or None if the files are in order.
  """
  try:
    files = record_files.find_files(file_pattern)
  except errors.DataError as data_error:
    return data_error
  _log.info('Looking for the record that caused the error: %s.', file_pattern)
  passes = [False]
  skips_images = (
    params.train.skip_broken_images and file_pattern == training_pattern(params)
  )
  has_no_image = skipped_records.NO_IMAGE_DECODES in str(error)
  if has_no_image or (_DECODING_FAILED.search(str(error)) and not skips_images):
    passes.append(True)
  for decode_images in passes:
    checker = RecordChecker(
      params.architecture.num_classes,
      decode_images,
      contents=contents or to_learn(params),
    )
    for problem in checker.problems(files):
      return errors.DataError(
        '{}{} tools/check_records.py lists all such records.'.format(
          'train.skip_broken_images left nothing to train on. '
          if has_no_image
          else '',
          problem,
        )
      )
  return None


def contents_of(files: Sequence[str]) -> Sequence[record_contents.Contents]:
  """Returns what the first record holds, most first; [] if it is unreadable."""
  try:
    record = next(tf.io.tf_record_iterator(files[0]))
    feature = tf.train.Example.FromString(record).features.feature
  except (StopIteration, tf.errors.OpError, message.DecodeError):
    return []
  return [
    contents
    for contents in record_contents.ALL
    if all(key in feature for key in (contents.label, *contents.images))
  ]


def check_contents(
  file_pattern: str,
  params: Any,
  key: str,
  contents: Optional[record_contents.Contents] = None,
) -> None:
  """Raises DataError if records were made for models of another kind.

  If images within the records are wanted, such as masks, the first records of
  the files have to be right altogether.

  Args:
    file_pattern: of TFRecords.
    params: the whole config.
    key: that gives the pattern, for the message.
    contents: what the records have to hold; of training if None.
  """
  files = record_files.find_files(file_pattern, key)
  wanted, found = contents or to_learn(params), contents_of(files)
  if found and wanted.label not in [contents.label for contents in found]:
    raise errors.DataError(
      f"{key}: the records of '{files[0]}' hold {found[0].meaning} "
      f"({found[0].label}), but '{params.type}' learns from {wanted.meaning} "
      f'({wanted.label}). tools/create_tf_record.py makes either.'
    )
  if found and not wanted.images:
    return
  # What most sets lack is missing from the first records already.
  decode_images = not params.train.skip_broken_images
  for decodes, some, most in (
    (decode_images, files[:_FEW_FILES], _FEW_RECORDS),
    (False, *record_index.spread(files, _MORE_RECORDS)),
  ):
    checker = RecordChecker(
      params.architecture.num_classes, decodes, contents=wanted
    )
    for problem in checker.problems(some, most):
      raise errors.DataError(f'{key}: {problem}')


def training_keys(params: Any) -> Sequence[str]:
  """Keys of the file patterns that training reads."""
  keys = ['train.train_file_pattern']
  second = 'train.pre_parser_dataset.file_pattern'
  if params.architecture.pre_parser and params.lookup(second):
    keys.append(second)
  return keys


def training_pattern(params: Any) -> str:
  """All files that training reads."""
  return ','.join(params.lookup(key) for key in training_keys(params))


def to_learn(params: Any) -> record_contents.Contents:
  """What the model of a config learns from."""
  return parser_generator.parser_generator(params, mode_keys.TRAIN).contents
