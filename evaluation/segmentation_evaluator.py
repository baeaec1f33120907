"""Evaluator of class maps."""

import heapq
from typing import Any, Dict, List

import numpy as np

from evaluation import classification_evaluator, evaluator_registry
from utils import files, label_map

CATEGORY_IOU = 'IoU ByCategory/'
CONFUSION = 'pixel_confusion'
_NUM_WORST = 12


class SegmentationEvaluator:
  """IoU of each class, its mean, and which class is taken for which.

  Args:
    num_classes: number of classes, 0 among them.
    ignore_label: of pixels of the groundtruth that do not count.
    names: class names by id; for those without see `ClassificationEvaluator`.

  Attributes:
    class_names: `names`.
    class_scores: none besides those that `evaluate` gives.
    worst: the twelve images of the last evaluation whose mean IoU is least, the
      worst first: each a dict of `position` among the images, `miou`, and of
      what `update` gets, `source_id`, `image_info`, `class_map`, `gt_masks`.
  """

  def __init__(
    self, num_classes: int, ignore_label: int, names: Dict[int, str]
  ):
    self._ignore_label = ignore_label
    self.class_names = names
    self.class_scores: Dict[str, float] = {}
    self.worst: List[Dict[str, Any]] = []
    self._names = classification_evaluator.all_names(num_classes, names)
    self.reset()

  def reset(self) -> None:
    """Forgets all predictions."""
    # Rows are true classes, columns predicted ones.
    self._confusion = np.zeros([len(self._names)] * 2, np.int64)
    self._predictions: List[Dict[str, Any]] = []
    # (-mIoU, -position, image): the first one is the best of the worst.
    self._heap: List[Any] = []

  def update(
    self, predictions: Dict[str, Any], groundtruths: Dict[str, Any]
  ) -> None:
    """Adds one batch.

    Args:
      predictions: class_map int [B, h, w], is_padding bool [B], rows to leave
        out, source_id int [B] and image_info float [B, 4, 2].
      groundtruths: masks float [B, h, w, 1].
    """
    for row in np.flatnonzero(~np.asarray(predictions['is_padding'], bool)):
      class_map = np.asarray(predictions['class_map'][row])
      mask = np.asarray(groundtruths['masks'][row])[..., 0].astype(np.int64)
      confusion = self._count(mask, class_map)
      self._confusion += confusion
      ious = _ious(confusion)
      # Of an image where no pixel counts nothing can be wrong.
      miou = float(np.mean(list(ious.values()) or [1.0]))
      image_id = int(predictions['source_id'][row])
      position = len(self._predictions)
      image = {
        'source_id': image_id,
        'position': position,
        'miou': miou,
        'image_info': predictions['image_info'][row],
        'class_map': class_map.astype(np.uint8),
        'gt_masks': mask.astype(np.uint8),
      }
      heapq.heappush(self._heap, (-miou, -position, image))
      if len(self._heap) > _NUM_WORST:
        heapq.heappop(self._heap)
      self._predictions.append(
        {
          'image_id': image_id,
          'miou': round(miou, 6),
          'ious': {str(i): round(iou, 6) for i, iou in ious.items()},
        }
      )

  def _count(self, mask: np.ndarray, class_map: np.ndarray) -> np.ndarray:
    is_counted = mask != self._ignore_label
    num_classes = len(self._names)
    pairs = mask[is_counted] * num_classes + class_map[is_counted]
    counts = np.bincount(pairs, minlength=num_classes**2)
    return counts.reshape([num_classes, num_classes])

  def dump_predictions(self, path: str) -> None:
    """Writes how good the images so far are.

    Args:
      path: of the JSON file, a list of objects with image_id, miou, and ious by
        the id of each class that is true or predicted in the image.
    """
    files.write_json(path, self._predictions)

  def evaluate(self) -> Dict[str, Any]:
    """Scores all images so far, then forgets them.

    Returns:
      miou, the mean over classes that are true or predicted anywhere, and
      pixel_accuracy; `CATEGORY_IOU` followed by the class, for each of these
      classes; and `CONFUSION`, {true class: {predicted class: number of
      pixels}}, without zeros.
    """
    confusion, names = self._confusion, self._names
    ious = _ious(confusion)
    metrics: Dict[str, Any] = {
      'miou': np.mean(list(ious.values()) or [0.0]),
      'pixel_accuracy': np.trace(confusion) / max(confusion.sum(), 1),
    }
    for i, iou in ious.items():
      metrics[CATEGORY_IOU + names[i]] = iou
    metrics[CONFUSION] = classification_evaluator.table(confusion, names)
    # No two have the same position, so that images are not compared.
    self.worst = [image for *_, image in sorted(self._heap, reverse=True)]
    self.reset()
    return metrics


def _ious(confusion: np.ndarray) -> Dict[int, float]:
  """By class, of those that occur."""
  hits = np.diag(confusion)
  union = confusion.sum(axis=0) + confusion.sum(axis=1) - hits
  return {int(i): float(hits[i] / union[i]) for i in np.flatnonzero(union)}


@evaluator_registry.register_evaluator(
  'segmentation',
  ('class_map', 'image_info'),
  check=classification_evaluator.names_of,
  metrics=('miou', 'pixel_accuracy'),
  has_report=False,
)
def from_params(params: Any) -> SegmentationEvaluator:
  """The evaluator of class maps."""
  return SegmentationEvaluator(
    params.architecture.num_classes,
    params.lookup(params.architecture.parser + '.ignore_label'),
    label_map.with_background(classification_evaluator.names_of(params)),
  )
