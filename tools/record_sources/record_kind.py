"""Kind of records that a set is converted into."""

import abc
import collections
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


def make_entry(
  image: annotations.AnnotatedImage,
  encoded: image_reader.Encoded,
  features: Dict[str, tf.train.Feature],
  coco_annotations: List[Dict[str, Any]],
) -> Entry:
  """Adds to features of one kind what records of every kind have."""
  features = {
    'image/encoded': bytes_feature(encoded.data),
    'image/format': bytes_feature(encoded.format.lower().encode()),
    'image/filename': bytes_feature(image.file_name.encode()),
    'image/source_id': bytes_feature(str(image.source_id).encode()),
    'image/height': ints_feature([encoded.height]),
    'image/width': ints_feature([encoded.width]),
    **features,
  }
  return Entry(
    tf.train.Example(features=tf.train.Features(feature=features)),
    {
      'id': image.source_id,
      'file_name': image.file_name,
      'width': encoded.width,
      'height': encoded.height,
    },
    coco_annotations,
  )


def images_by_class(
  coco: Dict[str, Any], report: report_lib.Report
) -> Dict[str, int]:
  """Counts annotations of the classes that occur, and reports the others."""
  counts = collections.Counter(
    annotation['category_id'] for annotation in coco['annotations']
  )
  for entry in coco['categories']:
    if entry['id'] not in counts:
      report.add('class_without_image', entry['name'])
  names = {entry['id']: entry['name'] for entry in coco['categories']}
  return {names[class_id]: count for class_id, count in counts.items()}


def bytes_feature(*values: bytes) -> tf.train.Feature:
  return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def ints_feature(values: List[int]) -> tf.train.Feature:
  return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def floats_feature(values: List[float]) -> tf.train.Feature:
  return tf.train.Feature(float_list=tf.train.FloatList(value=values))
