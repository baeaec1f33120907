"""Annotations made from the records of an evaluation."""

from typing import Any, Dict, List, Optional

import cv2
import numpy as np
import tensorflow.compat.v1 as tf
import tqdm

from dataloader import (
  groundtruth_checks,
  record_files,
  record_order,
  tf_example_decoder,
)
from evaluation import batches
from utils import errors, mask_utils

_NUM_PARALLEL_CALLS = 4
_MASKS = 'groundtruth_instance_masks_png'


def read_annotations(
  file_pattern: str,
  num_images: Optional[int] = None,
  regenerate_source_id: bool = False,
  include_mask: bool = False,
) -> Dict[str, Any]:
  """Reads the groundtruth of records.

  Args:
    file_pattern: comma-separated paths and globs of TFRecords.
    num_images: number of records to read; all of them if None or 0.
    regenerate_source_id: whether image ids are hashes of the images rather
      than the stored ones.
    include_mask: whether to read the instance masks, too.

  Returns:
    COCO's images, annotations and categories; boxes in pixels of the decoded
    image, masks as `segmentation`, run lengths as text. Categories are the
    class ids that occur, without names.

  Raises:
    errors.DataError: there is no file, a file is empty, there are fewer
      records than wanted, two images have the same id, or a mask is missing
      or cannot be used.
    tf.errors.OpError: a record cannot be read or decoded.
  """
  content = read_first(
    file_pattern, num_images, regenerate_source_id, include_mask
  )
  num_read = len(content['images'])
  if num_images and num_read < num_images:
    raise errors.DataError(
      f'{file_pattern}: {num_images} images are wanted (eval.eval_samples), '
      f'but there are {num_read}.'
    )
  return content


def read_first(
  file_pattern: str,
  num_images: Optional[int],
  regenerate_source_id: bool,
  include_mask: bool = False,
) -> Dict[str, Any]:
  """As `read_annotations`; of all records where there are fewer."""
  images: Dict[int, Dict[str, int]] = {}
  annotations: List[Dict[str, Any]] = []
  progress = tqdm.tqdm(
    desc='Reading groundtruth', unit='image', total=num_images, disable=None
  )
  with progress:
    for record in _decoded_records(
      file_pattern, regenerate_source_id, include_mask
    ):
      image_id = int(record['source_id'])
      if image_id in images:
        raise errors.DataError(
          f'{file_pattern}: image id {image_id} occurs more than once. Each '
          'record needs a source id of its own; regenerate_source_id of the '
          'parser makes ids from the images.'
        )
      images[image_id] = {
        'id': image_id,
        'height': int(record['height']),
        'width': int(record['width']),
      }
      annotations.extend(_annotations(record, image_id))
      progress.update()
      if len(images) == num_images:
        break
  for number, annotation in enumerate(annotations, start=1):
    annotation['id'] = number
  class_ids = sorted({entry['category_id'] for entry in annotations})
  return {
    'images': list(images.values()),
    'annotations': annotations,
    'categories': [{'id': class_id} for class_id in class_ids],
  }


def _decoded_records(
  file_pattern: str, regenerate_source_id: bool, include_mask: bool
):
  """Yields dicts of NumPy arrays, in the order of the input pipeline."""
  files = record_files.find_files(file_pattern)
  decoder = tf_example_decoder.TfExampleDecoder(
    regenerate_source_id=regenerate_source_id, include_mask=include_mask
  )

  @tf.autograph.experimental.do_not_convert  # Converting takes seconds.
  def decode(serialized):
    decoded = decoder.decode_parsed(decoder.parse(serialized))
    lengths = [
      tf.shape(decoded['groundtruth_' + key])[0]
      for key in ('boxes', 'classes', 'area', 'is_crowd')
    ]
    same_length = tf.debugging.Assert(
      tf.reduce_all(tf.equal(lengths, lengths[0])),
      [
        'Numbers of boxes, class ids, areas and crowd flags differ in image',
        decoded['source_id'],
        lengths,
      ],
    )
    good_boxes = tf.debugging.Assert(
      tf.reduce_all(
        groundtruth_checks.are_good_boxes(decoded['groundtruth_boxes'])
      ),
      ['A box is inverted or outside of [0, 1] in image', decoded['source_id']],
    )
    with tf.control_dependencies([same_length, good_boxes]):
      decoded = {key: tf.identity(value) for key, value in decoded.items()}
    del decoded['image']
    decoded['source_id'] = tf_example_decoder.source_id_to_number(
      decoded['source_id']
    )
    return decoded

  # A training that follows needs the memory of the GPUs.
  config = tf.ConfigProto(device_count={'GPU': 0})
  with tf.Graph().as_default(), tf.Session(config=config) as session:
    dataset = record_order.once(files).map(decode, _NUM_PARALLEL_CALLS)
    record = tf.data.make_one_shot_iterator(dataset.prefetch(1)).get_next()
    while True:
      try:
        yield session.run(record)
      except tf.errors.OutOfRangeError:
        return


def _annotations(record, image_id: int) -> List[Dict[str, Any]]:
  size = np.array([record['height'], record['width']] * 2, np.float32)
  boxes = batches.to_coco_boxes(record['groundtruth_boxes'] * size)
  areas = batches.without_rounding_noise(record['groundtruth_area'])
  columns = zip(
    record['groundtruth_classes'].tolist(),
    boxes.tolist(),
    areas.tolist(),
    record['groundtruth_is_crowd'].tolist(),
  )
  annotations = [
    {
      'image_id': image_id,
      'category_id': class_id,
      'bbox': box,
      'area': area,
      'iscrowd': int(is_crowd),
    }
    for class_id, box, area, is_crowd in columns
  ]
  pngs = record.get(_MASKS)
  if pngs is not None:
    if len(pngs) != len(annotations):
      raise errors.DataError(
        f'image id {image_id}: its record holds {len(pngs)} masks '
        f'(image/object/mask) for {len(annotations)} objects. '
        'tools/create_tf_record.py writes them with --include_masks.'
      )
    for annotation, png in zip(annotations, pngs):
      annotation['segmentation'] = _run_lengths(png, record, image_id)
  return annotations


def _run_lengths(png: bytes, record, image_id: int) -> Dict[str, Any]:
  """COCO's compressed run lengths of a mask, as text."""
  size = (record['height'], record['width'])
  mask = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
  if mask is None or mask.shape != size:
    raise errors.DataError(
      f'image id {image_id}: a mask of its record (image/object/mask) is no '
      'PNG of {} x {} pixels. tools/check_records.py says which.'.format(
        *size[::-1]
      )
    )
  return mask_utils.encode_as_text(mask > 0)
