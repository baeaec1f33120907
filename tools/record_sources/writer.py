"""Writes annotated images as sharded TFRecords and as a COCO json."""

from typing import Any, Dict, List, NamedTuple

import tensorflow.compat.v1 as tf
import tqdm

from dataloader import image_reader
from tools.record_sources import annotations, boxes, images, shards, written_set
from tools.record_sources import report as report_lib


class WrittenSet(NamedTuple):
  """The files of one split, and its boxes as a COCO dict."""

  shard_files: List[str]
  coco: Dict[str, Any]


def write_records(
  annotated: annotations.AnnotatedSet,
  output_prefix: str,
  num_shards: int,
  report: report_lib.Report,
) -> WrittenSet:
  """Writes the images as PREFIX-00000-of-0000N.tfrecord.

  Args:
    annotated: what to write.
    output_prefix: path and name of the shards.
    num_shards: the number of files; fewer if there are fewer images.
    report: receives what could not be written as it was annotated.

  Returns:
    The files, and the same boxes as a COCO dict.

  Raises:
    errors.DataError: what was annotated cannot have been meant so.
  """
  class_ids = {name: number for number, name in annotated.label_map.items()}
  coco = {
    'images': [],
    'annotations': [],
    'categories': [
      {'id': number, 'name': name}
      for number, name in sorted(annotated.label_map.items())
    ],
  }
  with shards.ShardedWriter(output_prefix, num_shards) as writer, tqdm.tqdm(
    total=len(annotated.images), unit='image', disable=None
  ) as progress:
    for image, encoded in images.readable_images(annotated.images, report):
      usable = boxes.usable_boxes(image, encoded, class_ids, report)
      if usable is None:
        continue
      example = make_example(image, encoded, usable, class_ids)
      writer.write(example.SerializeToString())
      _add_to_coco(coco, image, encoded, usable, class_ids)
      progress.update()
    written_set.check(coco, report)
  return WrittenSet(writer.file_names, coco)


def make_example(
  image: annotations.AnnotatedImage,
  encoded: image_reader.Encoded,
  usable: List[annotations.Box],
  class_ids: Dict[str, int],
) -> tf.train.Example:
  """Returns the tf.Example that the input pipeline decodes.

  Boxes are divided by the size of the image; labels start at 1.
  """
  width, height = float(encoded.width), float(encoded.height)
  prefix = 'image/object/'
  return tf.train.Example(
    features=tf.train.Features(
      feature={
        'image/encoded': _bytes(encoded.data),
        'image/format': _bytes(encoded.format.lower().encode()),
        'image/filename': _bytes(image.file_name.encode()),
        'image/source_id': _bytes(str(image.source_id).encode()),
        'image/height': _ints([encoded.height]),
        'image/width': _ints([encoded.width]),
        prefix + 'bbox/xmin': _floats([box.xmin / width for box in usable]),
        prefix + 'bbox/xmax': _floats([box.xmax / width for box in usable]),
        prefix + 'bbox/ymin': _floats([box.ymin / height for box in usable]),
        prefix + 'bbox/ymax': _floats([box.ymax / height for box in usable]),
        prefix + 'class/label': _ints(
          [class_ids[box.class_name] for box in usable]
        ),
        prefix + 'area': _floats([box.area for box in usable]),
        prefix + 'is_crowd': _ints([int(box.is_crowd) for box in usable]),
      }
    )
  )


def _add_to_coco(
  coco: Dict[str, Any],
  image: annotations.AnnotatedImage,
  encoded: image_reader.Encoded,
  usable: List[annotations.Box],
  class_ids: Dict[str, int],
) -> None:
  coco['images'].append(
    {
      'id': image.source_id,
      'file_name': image.file_name,
      'width': encoded.width,
      'height': encoded.height,
    }
  )
  for box in usable:
    sides = [box.xmax - box.xmin, box.ymax - box.ymin]
    coco['annotations'].append(
      {
        'id': len(coco['annotations']) + 1,
        'image_id': image.source_id,
        'category_id': class_ids[box.class_name],
        'bbox': [box.xmin, box.ymin, *sides],
        'area': box.area,
        'iscrowd': int(box.is_crowd),
      }
    )


def _bytes(value: bytes) -> tf.train.Feature:
  return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _ints(values: List[int]) -> tf.train.Feature:
  return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _floats(values: List[float]) -> tf.train.Feature:
  return tf.train.Feature(float_list=tf.train.FloatList(value=values))
