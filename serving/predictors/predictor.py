"""What every way of running a trained detector has in common."""

import abc
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np


class ImageDetections(NamedTuple):
  """Detections of one image, best first.

  Attributes:
    boxes: float32 [n, 4], `[ymin, xmin, ymax, xmax]`, pixels of the image as
      it was given, whatever size the model resized it to.
    classes: int32 [n]; background, class 0, does not occur.
    scores: float32 [n], descending.
  """

  boxes: np.ndarray
  classes: np.ndarray
  scores: np.ndarray

  def clipped_to(self, height: int, width: int) -> 'ImageDetections':
    """Boxes end at the edges of an image; those beyond it are left out.

    A model clips to the square that it fits an image into.
    """
    boxes = np.clip(self.boxes, 0, np.float32([height, width] * 2))
    kept = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    return ImageDetections(boxes[kept], self.classes[kept], self.scores[kept])


class Predictor(abc.ABC):
  """A trained detector that takes images of any size.

  Attributes:
    image_size: (height, width) that the model works on, pixels.
    batch_size: the number of images that go through the model at once; None
      if any number does.
    label_map: class names by id, where they are known.
  """

  image_size: Tuple[int, int]
  batch_size: Optional[int]
  label_map: Optional[Dict[int, str]] = None

  @abc.abstractmethod
  def predict(self, images: Sequence[np.ndarray]) -> List[ImageDetections]:
    """Detects objects; safe to call from several threads.

    Args:
      images: each uint8 [height, width, 3], RGB; any number of them, of any
        sizes. What one gets does not depend on the others.

    Returns:
      The detections of each image, in order.
    """
