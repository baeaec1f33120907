"""Eval images as people are shown them: groundtruth beside detections."""

import os
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

import cv2
import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image

from configs import factory
from dataloader import record_files, record_order
from evaluation import batches
from ops import image_decoding
from utils import drawing, mask_utils

# Pixels of the longer side of a picture, and of the gap between two.
_MAX_SIDE, _GAP = 640, 8
# Of a detection that is drawn; where there is none, the best one is.
_MIN_SCORE = 0.3
# Folder of pictures of the worst images.
WORST = 'worst'


class ShownImages:
  """Draws the first images of an evaluation.

  Their pixels are not in the predictions, and are read again.

  Args:
    params: the whole config, `eval.num_shown_images` and the records.
  """

  def __init__(self, params: Any):
    self._params = params
    self._settings = params.eval
    self.reset()

  def reset(self) -> None:
    """Forgets all predictions."""
    self._rows: List[Dict[str, Any]] = []

  def update(
    self, predictions: Mapping[str, Any], groundtruths: Mapping[str, Any]
  ) -> None:
    """Takes from a batch what is still wanted; see the evaluators."""
    rows = np.flatnonzero(~np.asarray(predictions['is_padding']))
    for row in rows[: self._settings.num_shown_images - len(self._rows)]:
      one = {f'gt_{key}': value[row] for key, value in groundtruths.items()}
      one.update((key, value[row]) for key, value in predictions.items())
      self._rows.append(one)

  def draw(self, names: Mapping[int, str]) -> Dict[str, Image.Image]:
    """Returns pictures by tag, groundtruth on the left.

    Args:
      names: of classes by id.
    """
    pictures = {}
    # Predictions and records are in the same order.
    positions = range(len(self._rows))
    records = _read(self._settings.eval_file_pattern, positions)
    for row, (pixels, pngs) in zip(self._rows, records):
      tag = f'groundtruth and detections/{row["source_id"]}'
      if 'class_map' in row:
        pictures[tag] = self._class_maps(pixels, row, names)
        continue
      sides = _groundtruth(row, pngs), _detections(row, *pixels.shape[:2])
      pictures[tag] = _beside(
        drawing.draw_detections(pixels, label_map=names, **side)
        for side in sides
      )
    return pictures

  def write_worst(self, directory: str, evaluator: Any) -> None:
    """Writes pictures of the images that an evaluator has as its `worst`.

    Args:
      directory: of the evaluation; its folder `worst` is replaced.
      evaluator: whose evaluation is done.
    """
    worst = getattr(evaluator, 'worst', [])
    if not worst:
      return
    folder = os.path.join(directory, WORST)
    if tf.io.gfile.exists(folder):
      tf.io.gfile.rmtree(folder)
    tf.io.gfile.makedirs(folder)
    rows = sorted(enumerate(worst, 1), key=lambda item: item[1]['position'])
    records = _read(
      self._settings.eval_file_pattern, [row['position'] for _, row in rows]
    )
    for (rank, row), (pixels, _) in zip(rows, records):
      name = '{:02d}_iou-{miou:.3f}_image-{source_id}.jpg'.format(rank, **row)
      picture = self._class_maps(pixels, row, evaluator.class_names)
      with tf.io.gfile.GFile(os.path.join(folder, name), 'wb') as target:
        target.write(drawing.encoded_jpeg(picture, quality=90))

  def _class_maps(
    self, pixels: np.ndarray, row: Mapping[str, Any], names: Mapping[int, str]
  ) -> Image.Image:
    """Both class maps, on the image as the model sees it."""
    size = np.int32(row['image_info'][0] * row['image_info'][2])
    height, width = np.maximum(size, 1)
    image = Image.fromarray(pixels).resize((width, height))
    mask = np.squeeze(row['gt_masks'])
    # Where nothing counts no class is shown.
    ignored = factory.parser_settings(self._params).ignore_label
    mask = np.where(mask == ignored, -1, mask)
    return _beside(
      drawing.draw_class_map(image, values[:height, :width], names)
      for values in (mask, row['class_map'])
    )


def _read(
  file_pattern: str, positions: Sequence[int]
) -> Iterator[Tuple[np.ndarray, List[bytes]]]:
  """Images and the masks of their objects.

  Args:
    file_pattern: of the records.
    positions: rising, in the order of an evaluation.
  """
  features = {
    'image/encoded': tf.io.FixedLenFeature([], tf.string),
    'image/object/mask': tf.io.VarLenFeature(tf.string),
  }
  config = tf.ConfigProto(device_count={'GPU': 0})
  with tf.Graph().as_default(), tf.Session(config=config) as session:
    records = record_order.once(record_files.find_files(file_pattern))
    following = tf.data.make_one_shot_iterator(records).get_next()
    record = tf.placeholder(tf.string, [])
    parsed = tf.io.parse_single_example(record, features)
    image = image_decoding.decode_image(parsed['image/encoded'])
    outputs = [image, parsed['image/object/mask'].values]
    for position in range(max(positions, default=-1) + 1):
      content = session.run(following)
      if position in positions:
        yield session.run(outputs, {record: content})


def _groundtruth(row: Dict[str, Any], pngs: List[bytes]) -> Dict[str, Any]:
  """Arguments of `draw_detections`; classes of whole images have no boxes."""
  classes = np.reshape(row['gt_classes'], -1)
  shown = {'boxes': row.get('gt_boxes'), 'classes': classes}
  if 'detection_masks' in row and len(pngs):
    encoded = (np.frombuffer(png, np.uint8) for png in pngs)
    masks = (cv2.imdecode(png, cv2.IMREAD_GRAYSCALE) > 0 for png in encoded)
    shown['masks'] = [
      mask_utils.MaskWindow(0, 0, mask.view(np.uint8)) for mask in masks
    ]
  return shown


def _detections(row: Dict[str, Any], height: int, width: int) -> Dict[str, Any]:
  """As `_groundtruth`, in an image of this size; of a class, the best."""
  if 'class_probabilities' in row:
    scores = row['class_probabilities']
    best = int(np.argmax(scores))
    return {'boxes': None, 'classes': [best], 'scores': [scores[best]]}
  scale = np.tile(row['image_info'][2], 2)
  boxes = row['detection_boxes'] / scale
  shown = {'boxes': boxes, 'classes': row['detection_classes']}
  shown['scores'] = row['detection_scores']
  shown['min_score'] = min(_MIN_SCORE, shown['scores'].max())
  if 'detection_masks' in row:
    if 'detection_outer_boxes' in row:
      boxes = row['detection_outer_boxes'] / scale
    shown['masks'] = mask_utils.paste_windows(
      row['detection_masks'], batches.to_coco_boxes(boxes), height, width
    )
  return shown


def _beside(pictures: Iterator[Image.Image]) -> Image.Image:
  left, right = pictures
  for picture in (left, right):
    picture.thumbnail((_MAX_SIDE, _MAX_SIDE))
  both = Image.new('RGB', (2 * left.width + _GAP, left.height), 'white')
  both.paste(left, (0, 0))
  both.paste(right, (left.width + _GAP, 0))
  return both
