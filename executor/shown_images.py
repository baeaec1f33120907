"""Eval images as TensorBoard shows them: groundtruth beside detections."""

from typing import Any, Dict, List, Mapping, NamedTuple

import cv2
import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image

from dataloader import record_files, record_order
from ops import image_decoding
from utils import drawing, mask_utils

# Pixels of the longer side, and between the two pictures.
_MAX_SIDE, _GAP = 640, 8
# Of a detection that is drawn; where there is none, the best one is.
_MIN_SCORE = 0.3


class _Record(NamedTuple):
  """Of an image: pixels at most `_MAX_SIDE` long, their scale, and masks."""

  pixels: np.ndarray
  scale: np.ndarray  # [y, x]: pixels of one of the original.
  masks: List[mask_utils.MaskWindow]


class ShownImages:
  """Draws the first images of an evaluation.

  Their pixels are not in the predictions, and are read once.

  Args:
    params: the whole config, `eval.num_shown_images` and the records.
  """

  def __init__(self, params: Any):
    self._count = params.eval.num_shown_images
    self._file_pattern = params.eval.eval_file_pattern
    self._records: List[_Record] = []
    self.reset()

  def reset(self) -> None:
    """Forgets all predictions."""
    self._rows: List[Dict[str, Any]] = []

  def update(
    self, predictions: Mapping[str, Any], groundtruths: Mapping[str, Any]
  ) -> None:
    """Takes from a batch what is still wanted; see `COCOEvaluator.update`."""
    rows = np.flatnonzero(~np.asarray(predictions['is_padding']))
    for row in rows[: self._count - len(self._rows)]:
      one = {f'gt_{key}': value[row] for key, value in groundtruths.items()}
      one.update((key, value[row]) for key, value in predictions.items())
      self._rows.append(one)

  def draw(self, names: Mapping[int, str]) -> Dict[str, Image.Image]:
    """Returns pictures by tag, groundtruth on the left.

    Args:
      names: of classes by id.
    """
    if not self._records and self._rows:
      self._records = _read(self._file_pattern, self._count)
    pictures = {}
    # Predictions and records are in the same order.
    for record, row in zip(self._records, self._rows):
      if 'detection_boxes' in row:
        pair = _draw_objects(record, row, names)
      elif 'class_probabilities' in row:
        pair = _draw_classes(record, row, names)
      else:
        break
      pictures[f'groundtruth and detections/{row["source_id"]}'] = _beside(pair)
    return pictures


def _read(file_pattern: str, count: int) -> List[_Record]:
  """The first records, in the order of an evaluation."""
  features = {
    'image/encoded': tf.io.FixedLenFeature([], tf.string),
    'image/object/mask': tf.io.VarLenFeature(tf.string),
  }
  config = tf.ConfigProto(device_count={'GPU': 0})
  with tf.Graph().as_default(), tf.Session(config=config) as session:
    records = record_order.once(record_files.find_files(file_pattern))
    record = tf.data.make_one_shot_iterator(records.take(count)).get_next()
    parsed = tf.io.parse_single_example(record, features)
    image = image_decoding.decode_image(parsed['image/encoded'])
    read = []
    while True:
      try:
        pixels, pngs = session.run([image, parsed['image/object/mask'].values])
      except tf.errors.OutOfRangeError:
        return read
      read.append(_small(pixels, pngs))


def _small(pixels: np.ndarray, pngs: List[bytes]) -> _Record:
  height, width = pixels.shape[:2]
  factor = min(1, _MAX_SIDE / max(height, width))
  size = (max(round(width * factor), 1), max(round(height * factor), 1))
  masks = []
  for png in pngs:
    mask = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    mask = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
    masks.append(mask_utils.MaskWindow(0, 0, (mask > 0).view(np.uint8)))
  return _Record(
    cv2.resize(pixels, size, interpolation=cv2.INTER_AREA),
    np.array([size[1] / height, size[0] / width]),
    masks,
  )


def _draw_objects(record, row, names) -> List[Image.Image]:
  """Pictures of the groundtruth and of the detections."""
  has_masks = 'detection_masks' in row
  groundtruth = drawing.draw_detections(
    record.pixels,
    row['gt_boxes'] * np.tile(record.scale, 2),
    row['gt_classes'],
    label_map=names,
    masks=record.masks if has_masks and record.masks else None,
  )
  boxes = row['detection_boxes'] / np.tile(row['image_info'][2], 2)
  boxes *= np.tile(record.scale, 2)
  masks = None
  if has_masks:
    ymin, xmin, ymax, xmax = boxes.T
    masks = mask_utils.paste_windows(
      row['detection_masks'],
      np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=-1),
      *record.pixels.shape[:2],
    )
  scores = row['detection_scores']
  detections = drawing.draw_detections(
    record.pixels,
    boxes,
    row['detection_classes'],
    scores,
    names,
    min(_MIN_SCORE, scores.max()),
    masks=masks,
  )
  return [groundtruth, detections]


def _draw_classes(record, row, names) -> List[Image.Image]:
  """As `_draw_objects`, of the class of a whole image."""
  scores = row['class_probabilities']
  best = int(np.argmax(scores))
  truth = [row['gt_classes']]
  return [
    drawing.draw_detections(record.pixels, None, truth, label_map=names),
    drawing.draw_detections(
      record.pixels, None, [best], [scores[best]], label_map=names
    ),
  ]


def _beside(pair: List[Image.Image]) -> Image.Image:
  left, right = pair
  picture = Image.new('RGB', (2 * left.width + _GAP, left.height), 'white')
  picture.paste(left, (0, 0))
  picture.paste(right, (left.width + _GAP, 0))
  return picture
