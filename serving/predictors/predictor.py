"""Interface of a predictor, and its results."""

import abc
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from evaluation import batches
from modeling import served_output
from serving.predictors import class_map, preprocessing
from utils import mask_utils

# Of a model that takes any batch, so that memory stays bounded.
_LARGEST_BATCH = 8


class ImageDetections(NamedTuple):
  """What was found in one image, best first.

  Attributes:
    boxes: float32 [n, 4], `[ymin, xmin, ymax, xmax]`, pixels of the image as
      it was given, whatever size the model resized it to; None if the classes
      are those of the whole image.
    classes: int32 [n]; background, class 0, does not occur in boxes.
    scores: float32 [n], descending.
    masks: float32 [n, h, w], probabilities within `mask_boxes`; None without.
    mask_boxes: as `boxes`, of which `clipped_to` cuts nothing off; None without
      masks.
    class_map: uint8 [height, width], the class of each pixel of the image, 0
      for none, of a model that tells; then classes are those that occur, and
      scores the means of their pixels.
  """

  boxes: Optional[np.ndarray]
  classes: np.ndarray
  scores: np.ndarray
  masks: Optional[np.ndarray] = None
  mask_boxes: Optional[np.ndarray] = None
  class_map: Optional[np.ndarray] = None

  def pasted_masks(
    self, height: int, width: int
  ) -> Optional[List[mask_utils.MaskWindow]]:
    """Returns the masks as pixels of an image of this size; None without."""
    if self.masks is None:
      return None
    boxes = batches.to_coco_boxes(self.mask_boxes)
    return mask_utils.paste_windows(self.masks, boxes, height, width)

  def run_lengths(
    self, height: int, width: int
  ) -> Optional[List[mask_utils.Rle]]:
    """Returns masks, or the pixels of each class, as COCO's run lengths."""
    if self.class_map is not None:
      return [
        mask_utils.encode_as_text(self.class_map == i) for i in self.classes
      ]
    masks = self.pasted_masks(height, width)
    return masks and mask_utils.encode_windows(masks, height, width)

  def rows(self) -> List[Tuple[int, float, List[float]]]:
    """Returns (class, score, box) of each; the box is [] without boxes."""
    boxes = [[]] * len(self.classes) if self.boxes is None else self.boxes
    return [
      (int(class_id), float(score), [float(edge) for edge in box])
      for class_id, score, box in zip(self.classes, self.scores, boxes)
    ]

  def is_finite(self) -> bool:
    return all(
      np.isfinite(values).all() for values in self if values is not None
    )

  def clipped_to(self, height: int, width: int) -> 'ImageDetections':
    """Boxes end at the edges of an image; those beyond it are left out.

    A model clips to the square that it fits an image into.
    """
    if self.boxes is None:
      return self
    boxes = np.clip(self.boxes, 0, np.float32([height, width] * 2))
    kept = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    return self._replace(boxes=boxes).taken(kept)

  def taken(self, rows: Any) -> 'ImageDetections':
    """Returns those of an index, a slice or a mask."""
    of_rows = (None if values is None else values[rows] for values in self[:-1])
    return ImageDetections(*of_rows, self.class_map)


def detections_of_image(
  outputs: Dict[str, np.ndarray],
  scale: np.ndarray,
  image_info: np.ndarray,
  padded_size: Sequence[int],
) -> ImageDetections:
  """Takes what was found in one image out of a model's outputs.

  Args:
    outputs: by their kinds, see `served_output`; without the batch dimension.
    scale: [2], (y, x) by which boxes are divided to get pixels of the original
      image.
    image_info: float32 [4, 2], how the image was resized.
    padded_size: (height, width) of the network's image.
  """
  if served_output.LOGITS in outputs:
    logits = outputs[served_output.LOGITS]
    found = _of_class_map(*class_map.of_logits(logits, image_info, padded_size))
    if not np.isfinite(logits).all():
      # The map would not tell: of such numbers it is background.
      found = found._replace(scores=np.float32([np.nan]))
    return found
  if served_output.CLASS_MAPS in outputs:
    kinds = served_output.CLASS_MAPS, served_output.CLASS_MAP_SCORES
    return _of_class_map(*(class_map.decoded(outputs[kind]) for kind in kinds))
  if served_output.PROBABILITIES in outputs:
    scores = outputs[served_output.PROBABILITIES].astype(np.float32)
    top = np.argsort(-scores, kind='stable')[: served_output.NUM_TOP_CLASSES]
    return ImageDetections(None, top.astype(np.int32), scores[top])
  # The rest of the rows is padding.
  count = int(outputs[served_output.COUNT])
  boxes = outputs[served_output.BOXES][:count] / np.tile(scale, 2)
  boxes = boxes.astype(np.float32)
  masks = outputs.get(served_output.MASKS)
  mask_boxes = boxes
  if served_output.MASK_BOXES in outputs:
    mask_boxes = outputs[served_output.MASK_BOXES][:count]
    mask_boxes = mask_boxes / np.tile(image_info[2], 2)
  return ImageDetections(
    boxes,
    np.rint(outputs[served_output.CLASSES][:count]).astype(np.int32),
    outputs[served_output.SCORES][:count].astype(np.float32),
    None if masks is None else masks[:count],
    None if masks is None else mask_boxes,
  )


def _of_class_map(classes: np.ndarray, scores: np.ndarray) -> ImageDetections:
  present = np.setdiff1d(classes, [0])
  means = np.float32([scores[classes == i].mean() / 255 for i in present])
  order = np.argsort(-means, kind='stable')
  return ImageDetections(
    None, present[order].astype(np.int32), means[order], class_map=classes
  )


class Predictor(abc.ABC):
  """A trained model that takes images of any size.

  Args:
    image_size: (height, width) into which images are fitted, pixels.
    batch_size: the number of images that go through the model at once; None
      if any number does.
    label_map: class names by id, where they are known.
  """

  def __init__(
    self,
    image_size: Sequence[int],
    batch_size: Optional[int] = None,
    label_map: Optional[Dict[int, str]] = None,
  ):
    self.image_size = (int(image_size[0]), int(image_size[1]))
    self.batch_size = batch_size
    self.label_map = label_map

  def predict(self, images: Sequence[np.ndarray]) -> List[ImageDetections]:
    """Runs the model; safe to call from several threads.

    Args:
      images: each uint8 [height, width, 3], RGB; any number of them, of any
        sizes. What one gets does not depend on the others.

    Returns:
      What was found in each image, in order.
    """
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
  def _predict_batch(self, images: List[np.ndarray]) -> List[ImageDetections]:
    """As `predict`, of `batch_size` images."""
