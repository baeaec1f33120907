"""From any number of images to batches of the model's size and back."""

import abc
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from serving.predictors import predictor, preprocessing

# What `detections_of_image` takes, by signature key, in its order.
OUTPUTS = (
  'num_detections',
  'detection_boxes',
  'detection_classes',
  'detection_scores',
)
# Of a model that takes any batch, so that memory stays bounded.
_LARGEST_BATCH = 8


class BatchPredictor(predictor.Predictor):
  """Splits images into batches; the last one is filled up if it has to be.

  Args:
    image_size: (height, width) into which images are fitted, pixels.
    batch_size: None if the model takes any.
    label_map: class names by id, if known.
  """

  def __init__(
    self,
    image_size: Tuple[int, int],
    batch_size: Optional[int] = None,
    label_map: Optional[Dict[int, str]] = None,
  ):
    self.image_size = (int(image_size[0]), int(image_size[1]))
    self.batch_size = batch_size
    self.label_map = label_map

  def predict(
    self, images: Sequence[np.ndarray]
  ) -> List[predictor.ImageDetections]:
    for image in images:
      preprocessing.check_image(image)
    size = self.batch_size or _LARGEST_BATCH
    detections = []
    for start in range(0, len(images), size):
      batch = list(images[start : start + size])
      missing = (self.batch_size or len(batch)) - len(batch)
      found = self._predict_batch(batch + batch[-1:] * missing)
      detections += found[: len(batch)]
    return detections

  @abc.abstractmethod
  def _predict_batch(
    self, images: List[np.ndarray]
  ) -> List[predictor.ImageDetections]:
    """As `predict`, of `batch_size` images."""


def detections_of_image(
  count: int,
  boxes: np.ndarray,
  classes: np.ndarray,
  scores: np.ndarray,
  scale: np.ndarray,
) -> predictor.ImageDetections:
  """Takes the detections of one image out of a model's outputs.

  Args:
    count: number of detections; the rest of the rows is padding.
    boxes: [n, 4], `[ymin, xmin, ymax, xmax]`.
    classes: [n], any dtype.
    scores: [n].
    scale: [2], (y, x) by which boxes are divided to get pixels of the original
      image.
  """
  count = int(count)
  boxes = boxes[:count] / np.tile(scale, 2)
  return predictor.ImageDetections(
    boxes.astype(np.float32),
    np.rint(classes[:count]).astype(np.int32),
    scores[:count].astype(np.float32),
  )
