"""Detections and groundtruth of a batch, as rows in COCO's format."""

from typing import Any, Dict, Iterable, List, Tuple

import numpy as np
from pycocotools import mask as mask_lib

from evaluation import entries
from utils import errors, mask_utils

_PREDICTION_FIELDS = (
  'source_id',
  'num_detections',
  'detection_boxes',
  'detection_classes',
  'detection_scores',
)
_GROUNDTRUTH_FIELDS = ('source_id', 'height', 'width', 'boxes', 'classes')
_COUNT_FIELDS = ('num_detections', 'num_groundtruths')


def read_detections(
  predictions: Dict[str, Any], need_rescale_bboxes: bool, include_mask: bool
) -> Tuple[List[int], np.ndarray]:
  """Reads a batch of B predictions, see `COCOEvaluator.update`.

  Returns:
    Image ids [B] and records [B, N] of `entries.DTYPE`.
  """
  required = list(_PREDICTION_FIELDS)
  if include_mask:
    required.append('detection_masks')
  are_pasted = isinstance(predictions.get('detection_masks'), list)
  if need_rescale_bboxes or (include_mask and not are_pasted):
    required.append('image_info')
  _check_fields('predictions', predictions, required)
  rows = _real_rows(predictions)
  image_ids = _image_ids(predictions, rows)
  boxes = _boxes(predictions, 'detection_boxes', rows, need_rescale_bboxes)
  scores = np.asarray(predictions['detection_scores'], np.float32)[rows]
  classes = np.asarray(predictions['detection_classes'])[rows].astype(np.int64)
  for image_id, image_boxes, image_scores in zip(image_ids, boxes, scores):
    if not (np.isfinite(image_boxes).all() and np.isfinite(image_scores).all()):
      raise errors.DataError(
        f'Image {image_id}: detections hold numbers that are not finite, as a '
        'model gives whose training has diverged.'
      )
  # Copies take a third of the time of `np.zeros`, which makes each object.
  detections = entries.ZERO[np.zeros(classes.shape, np.int64)]
  detections['image_id'] = np.reshape(image_ids, [-1, 1])
  detections['category_id'] = classes
  detections['score'] = scores
  detections['bbox'] = to_coco_boxes(boxes)
  detections['area'] = detections['bbox'][..., 2:].prod(axis=-1)
  if include_mask:
    masks = predictions['detection_masks']
    if are_pasted:
      masks = [
        [m and mask_utils.as_text(m) for m in masks[row]] for row in rows
      ]
    else:
      mask_boxes = boxes
      if 'detection_outer_boxes' in predictions:
        mask_boxes = _boxes(
          predictions, 'detection_outer_boxes', rows, need_rescale_bboxes
        )
      masks = _paste_and_encode(predictions, rows, mask_boxes)
    detections['segmentation'] = np.array(masks, object).reshape(classes.shape)
    exists = detections['segmentation'].astype(bool)
    detections['area'][exists] = mask_lib.area(
      detections['segmentation'][exists].tolist()
    )
  return image_ids, detections


def _boxes(predictions, key, rows, need_rescale_bboxes) -> np.ndarray:
  """Boxes of some images, rescaled where they need it."""
  boxes = _as_float(predictions[key])[rows]
  if not need_rescale_bboxes:
    return boxes
  info = np.asarray(predictions['image_info'])[rows]
  return boxes / np.tile(info[:, 2:3, :], [1, 1, 2]).astype(boxes.dtype)


def _paste_and_encode(predictions, rows, boxes) -> List[List[Any]]:
  """Makes run lengths of masks within boxes; None for rows that are absent."""
  ymin, xmin, ymax, xmax = np.moveaxis(boxes, -1, 0)
  boxes_xywh = np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=-1)
  counts = np.reshape(predictions['num_detections'], -1).astype(int)
  sizes = np.asarray(predictions['image_info'])[:, 0].astype(int).tolist()
  encoded = []
  for row, image_boxes in zip(rows, boxes_xywh):
    count = counts[row]
    windows = mask_utils.paste_windows(
      predictions['detection_masks'][row][:count],
      image_boxes[:count],
      *sizes[row],
    )
    masks = mask_utils.encode_windows(windows, *sizes[row])
    absent = [None] * (len(image_boxes) - count)
    encoded.append(masks + absent)
  return encoded


def add_areas(results: Iterable[Dict[str, Any]]) -> None:
  """Adds `area` in pixels^2, of the mask if there is one, to detections."""
  for result in results:
    if 'segmentation' in result:
      result['area'] = float(mask_lib.area(result['segmentation']))
    else:
      result['area'] = result['bbox'][2] * result['bbox'][3]


class StreamedGroundtruth:
  """Groundtruth that comes with the predictions, batch by batch.

  Attributes:
    num_truncated: number of objects that were left out, by image id, for the
      images where that happened.
    max_num_instances: the largest number of objects that an image can have.
  """

  def __init__(self):
    self.num_truncated: Dict[int, int] = {}
    self.max_num_instances = 0
    self._images: Dict[int, Dict[str, int]] = {}
    self._annotations: List[Dict[str, Any]] = []

  def add(self, groundtruths: Dict[str, Any], include_mask: bool) -> None:
    """Adds a batch, see `COCOEvaluator.update`."""
    required = list(_GROUNDTRUTH_FIELDS)
    if include_mask:
      required.append('masks')
    _check_fields('groundtruths', groundtruths, required)
    rows = _real_rows(groundtruths)
    boxes = _as_float(groundtruths['boxes'])
    self.max_num_instances = max(self.max_num_instances, boxes.shape[1])
    boxes = to_coco_boxes(boxes)
    heights = np.reshape(groundtruths['height'], -1)
    widths = np.reshape(groundtruths['width'], -1)
    for row, image_id in zip(rows, _image_ids(groundtruths, rows)):
      self._images[image_id] = {
        'id': image_id,
        'height': int(heights[row]),
        'width': int(widths[row]),
      }
      count = self._count(groundtruths, row, image_id)
      for position in range(count):
        self._annotations.append(
          _annotation(groundtruths, boxes, row, position, image_id)
        )

  def as_coco(self, image_ids: Iterable[int]) -> Dict[str, Any]:
    """Returns the groundtruth in COCO's format.

    Args:
      image_ids: images with predictions, which need a groundtruth.

    Raises:
      errors.DataError: one of them has none.
    """
    for image_id in image_ids:
      if image_id not in self._images:
        raise errors.DataError(
          f'Image {image_id} has predictions, but no groundtruth came with '
          'them.'
        )
    return {
      'images': list(self._images.values()),
      'annotations': self._annotations,
      'categories': [
        {'id': category_id}
        for category_id in sorted(
          {entry['category_id'] for entry in self._annotations}
        )
      ],
    }

  def _count(self, groundtruths, row: int, image_id: int) -> int:
    classes = np.asarray(groundtruths['classes'])[row]
    for field in _COUNT_FIELDS:
      if field in groundtruths:
        count = int(np.reshape(groundtruths[field], -1)[row])
        if count > len(classes):
          self.num_truncated[image_id] = count - len(classes)
        return min(count, len(classes))
    return int(np.sum(classes >= 0))


def to_coco_boxes(boxes: np.ndarray) -> np.ndarray:
  """[..., 4] ymin, xmin, ymax, xmax to float64 xmin, ymin, width, height."""
  ymin, xmin, ymax, xmax = np.moveaxis(boxes, -1, 0)
  return without_rounding_noise(
    np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=-1)
  )


def without_rounding_noise(values: np.ndarray) -> np.ndarray:
  """Returns pixels, or their squares, as float64.

  Annotations have two decimals at most. With the noise of float32, or of a
  difference, an overlap of exactly 0.5 or an area of exactly 32^2 would fall on
  either side of the limit. So float64 is rounded to six decimals, narrower
  types to three.
  """
  values = np.asarray(values)
  decimals = 6 if values.dtype == np.float64 else 3
  return np.round(values.astype(np.float64), decimals)


def _annotation(groundtruths, boxes, row, position, image_id) -> Dict[str, Any]:
  bbox = boxes[row, position].tolist()
  annotation = {
    'image_id': image_id,
    'category_id': int(groundtruths['classes'][row][position]),
    'bbox': bbox,
    'area': bbox[2] * bbox[3],
    'iscrowd': 0,
  }
  if 'areas' in groundtruths:
    area = np.asarray(groundtruths['areas'])[row, position]
    annotation['area'] = float(without_rounding_noise(area))
  if 'is_crowds' in groundtruths:
    annotation['iscrowd'] = int(groundtruths['is_crowds'][row][position])
  if 'masks' in groundtruths:
    annotation['segmentation'] = mask_utils.as_text(
      groundtruths['masks'][row][position]
    )
  return annotation


def _check_fields(owner, batch, required) -> None:
  for field in required:
    if field not in batch:
      raise ValueError(
        '{}: `{}` is absent; needed are {}.'.format(
          owner, field, ', '.join(required)
        )
      )


def _real_rows(batch: Dict[str, Any]) -> List[int]:
  """Returns the positions of images that are not padding."""
  if 'is_padding' not in batch:
    return list(range(np.size(batch['source_id'])))
  is_padding = np.reshape(batch['is_padding'], -1).astype(bool)
  return np.flatnonzero(~is_padding).tolist()


def _image_ids(batch: Dict[str, Any], rows: List[int]) -> List[int]:
  source_ids = np.reshape(batch['source_id'], -1)
  return [int(source_ids[row]) for row in rows]


def _as_float(values: Any) -> np.ndarray:
  values = np.asarray(values)
  return values if values.dtype.kind == 'f' else values.astype(np.float64)
