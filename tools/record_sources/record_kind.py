"""Kind of records that a set is converted into."""

import abc
from typing import Any, Dict, Iterator, List, NamedTuple

import tensorflow.compat.v1 as tf

from dataloader import image_reader
from tools.record_sources import annotations
from tools.record_sources import report as report_lib


class Entry(NamedTuple):
  """One record.

  Attributes:
    example: what the input pipeline decodes.
    image: the entry of the COCO json under `images`.
    annotations: those under `annotations`, without their ids.
  """

  example: tf.train.Example
  image: Dict[str, Any]
  annotations: List[Dict[str, Any]]


class RecordKind(abc.ABC):
  """What records hold.

  Attributes:
    counted: what the annotations of the COCO json are: boxes or images.
    nothing: why there may be no record, for a message.
    least_id: of a class.
  """

  counted = 'boxes'
  nothing = 'None of the images can be used.'
  least_id = 1

  def in_order(
    self, annotated: List[annotations.AnnotatedImage]
  ) -> List[annotations.AnnotatedImage]:
    """Returns the images in the order of their records."""
    return annotated

  @abc.abstractmethod
  def entries(
    self,
    image: annotations.AnnotatedImage,
    encoded: image_reader.Encoded,
    class_ids: Dict[str, int],
    report: report_lib.Report,
  ) -> Iterator[Entry]:
    """Yields the records of an image; reports what it leaves out.

    Is called for several images at a time, by threads.
    """

  def numbered(self, entry: Entry, position: int) -> Entry:
    """Completes a record by its position among all, from 1."""
    del position  # Unused.
    return entry

  @abc.abstractmethod
  def objection(self, coco: Dict[str, Any], report: report_lib.Report) -> str:
    """Returns why the set cannot have been meant as it is, or ''.

    Args:
      coco: all entries, as a COCO dict.
      report: receives what is only strange.
    """


def image_features(
  source_id: int, file_name: str, encoded: image_reader.Encoded
) -> Dict[str, tf.train.Feature]:
  """Returns the features that records of every kind have."""
  return {
    'image/encoded': bytes_feature(encoded.data),
    'image/format': bytes_feature(encoded.format.lower().encode()),
    'image/filename': bytes_feature(file_name.encode()),
    'image/source_id': bytes_feature(str(source_id).encode()),
    'image/height': ints_feature([encoded.height]),
    'image/width': ints_feature([encoded.width]),
  }


def image_entry(
  source_id: int, file_name: str, encoded: image_reader.Encoded
) -> Dict[str, Any]:
  """Returns an entry of `images` in a COCO json."""
  return {
    'id': source_id,
    'file_name': file_name,
    'width': encoded.width,
    'height': encoded.height,
  }


def bytes_feature(*values: bytes) -> tf.train.Feature:
  return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def ints_feature(values: List[int]) -> tf.train.Feature:
  return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def floats_feature(values: List[float]) -> tf.train.Feature:
  return tf.train.Feature(float_list=tf.train.FloatList(value=values))
