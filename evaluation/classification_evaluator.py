"""Evaluator of classes of whole images."""

from typing import Any, Dict, List, Sequence

import numpy as np

from evaluation import evaluator_registry
from modeling import served_output
from utils import errors, files, label_map

CATEGORY_ACCURACY = 'Accuracy ByCategory/'
CONFUSION = 'confusion'


class ClassificationEvaluator:
  """Accuracy, also by class, and which class is taken for which.

  Args:
    num_classes: number of classes, 0 among them.
    names: class names by id; a class without one goes by its id, and where
      others have one, by 'id 3', since a name may be a number too.

  Attributes:
    class_names: `names`.
    class_scores: none besides those that `evaluate` gives.
  """

  def __init__(self, num_classes: int, names: Dict[int, str]):
    self.class_names = names
    self.class_scores: Dict[str, float] = {}
    self._names = all_names(num_classes, names)
    self.reset()

  def reset(self) -> None:
    """Forgets all predictions."""
    # Rows are true classes, columns predicted ones.
    self._confusion = np.zeros([len(self._names)] * 2, np.int64)
    self._num_among_top = 0
    self._predictions: List[Dict[str, Any]] = []

  def update(
    self, predictions: Dict[str, Any], groundtruths: Dict[str, Any]
  ) -> None:
    """Adds one batch.

    Args:
      predictions: class_probabilities float [B, num_classes], is_padding bool
        [B], rows to leave out, and source_id int [B].
      groundtruths: classes int [B].

    Raises:
      errors.DataError: probabilities are not finite.
    """
    is_real = ~np.asarray(predictions['is_padding'], bool)
    scores = np.asarray(predictions['class_probabilities'])[is_real]
    classes = np.asarray(groundtruths['classes'])[is_real]
    image_ids = np.asarray(predictions['source_id'])[is_real]
    top = np.argsort(-scores, axis=1, kind='stable')
    top = top[:, : served_output.NUM_TOP_CLASSES]
    np.add.at(self._confusion, (classes, top[:, 0]), 1)
    self._num_among_top += int((top == classes[:, np.newaxis]).sum())
    for image_id, class_id, row, best in zip(image_ids, classes, scores, top):
      if not np.isfinite(row).all():
        raise errors.DataError(
          f'Image {image_id}: probabilities are not finite, as a model gives '
          'whose training has diverged.'
        )
      self._predictions.append(
        {
          'image_id': int(image_id),
          'class_id': int(class_id),
          'predicted': best.tolist(),
          'scores': [round(float(row[i]), 6) for i in best],
        }
      )

  def dump_predictions(self, path: str) -> None:
    """Writes the images so far, each with its class and the most likely ones.

    Args:
      path: of the JSON file, a list of objects with image_id, class_id,
        predicted, ids of classes, best first, and their scores.
    """
    files.write_json(path, self._predictions)

  def evaluate(self) -> Dict[str, Any]:
    """Scores all images so far, then forgets them.

    Returns:
      top_1_accuracy, top_5_accuracy; `CATEGORY_ACCURACY` followed by the class,
      for each one that has images; and `CONFUSION`, {true class: {predicted
      class: number of images}}, without zeros.
    """
    confusion, names = self._confusion, self._names
    num_images = confusion.sum()
    metrics: Dict[str, Any] = {
      'top_1_accuracy': np.trace(confusion) / num_images,
      'top_5_accuracy': self._num_among_top / num_images,
    }
    present = np.flatnonzero(confusion.sum(axis=1))
    for i in present:
      metrics[CATEGORY_ACCURACY + names[i]] = (
        confusion[i, i] / confusion[i].sum()
      )
    metrics[CONFUSION] = table(confusion, names)
    self.reset()
    return metrics


def all_names(num_classes: int, names: Dict[int, str]) -> List[str]:
  """Returns a name for each class, for those without one see above."""
  nameless = 'id {}' if names else '{}'
  return [names.get(i, nameless.format(i)) for i in range(num_classes)]


def table(
  confusion: np.ndarray, names: Sequence[str]
) -> Dict[str, Dict[str, int]]:
  """Returns counts by true and predicted class, without zeros."""
  return {
    names[i]: {
      names[j]: int(confusion[i, j]) for j in confusion[i].nonzero()[0]
    }
    for i in np.flatnonzero(confusion.sum(axis=1))
  }


def names_of(params: Any) -> Dict[int, str]:
  """Class names by id, of `eval.label_map_file`; none without."""
  path = params.eval.label_map_file
  return label_map.read_label_map(path) if path else {}


@evaluator_registry.register_evaluator(
  'classification',
  ('class_probabilities',),
  check=names_of,
  metrics=('top_1_accuracy', 'top_5_accuracy'),
)
def from_params(params: Any) -> ClassificationEvaluator:
  """The evaluator of classes of whole images."""
  return ClassificationEvaluator(
    params.architecture.num_classes, names_of(params)
  )
