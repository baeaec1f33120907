"""Everything that a report says of classes of whole images, in numbers."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from evaluation.analysis import bootstrap, scores
from utils import errors

_SEED = 0


class ClassNumbers(NamedTuple):
  """A class.

  Attributes:
    id: of the class.
    name: of the class, or its id.
    images: number of images.
    accuracy: share of its images that are taken for it; NaN without images.
    precision: share of what is taken for it that is right; NaN of nothing.
    f1: harmonic mean of both; 0 if nothing is right.
  """

  id: int
  name: str
  images: int
  accuracy: float
  precision: float
  f1: float


class Images(NamedTuple):
  """N images in the order of the predictions.

  Attributes:
    ids: int [N].
    classes: int [N], positions of the true classes.
    predicted: int [N], positions of the most likely ones.
    scores: float [N], of `predicted`.
    true_scores: float [N], of the true class; 0 if it is not among the first.
  """

  ids: np.ndarray
  classes: np.ndarray
  predicted: np.ndarray
  scores: np.ndarray
  true_scores: np.ndarray


class Analysis(NamedTuple):
  """All numbers of a classifier.

  Attributes:
    metrics: top_1_accuracy and top_5_accuracy.
    intervals: 95 % interval of each, over images.
    replicates: float [R, 2], the metrics of R resamples of the images. The same
      number of images gives the same resamples.
    classes: those that are true, predicted or named, by id; K of them.
    confusion: int [K, K], true classes by predicted ones.
    histogram: of scores of the most likely classes, by whether they are right.
    calibration: of these scores.
    images: each image.
    worst: int, positions of those that are wrong, the surest first.
  """

  metrics: Dict[str, float]
  intervals: Dict[str, Tuple[float, float]]
  replicates: np.ndarray
  classes: List[ClassNumbers]
  confusion: np.ndarray
  histogram: scores.ScoreHistogram
  calibration: scores.Calibration
  images: Images
  worst: np.ndarray


def analyse(
  predictions: List[Dict[str, Any]], names: Optional[Dict[int, str]] = None
) -> Analysis:
  """Computes all numbers of a report.

  Args:
    predictions: of `ClassificationEvaluator.dump_predictions`.
    names: of classes by id.

  Raises:
    errors.DataError: there is no prediction.
  """
  if not predictions:
    raise errors.DataError('There are no predictions to analyse.')
  names = names or {}
  ids = {row['class_id'] for row in predictions}
  ids |= {row['predicted'][0] for row in predictions}
  positions = {key: i for i, key in enumerate(sorted(ids | names.keys()))}
  images = Images(
    np.array([row['image_id'] for row in predictions]),
    np.array([positions[row['class_id']] for row in predictions]),
    np.array([positions[row['predicted'][0]] for row in predictions]),
    np.array([row['scores'][0] for row in predictions]),
    np.array([_true_score(row) for row in predictions]),
  )
  is_right = images.classes == images.predicted
  is_near = np.array([r['class_id'] in r['predicted'] for r in predictions])
  confusion = np.zeros([len(positions)] * 2, np.int64)
  np.add.at(confusion, (images.classes, images.predicted), 1)
  both = np.stack([is_right, is_near], axis=1)
  weights = bootstrap.draw(len(predictions), _SEED)
  replicates = weights @ both.astype(float) / len(predictions)
  metrics = ('top_1_accuracy', 'top_5_accuracy')
  wrong = np.flatnonzero(~is_right)
  # Of images that are as sure, those first that think least of the truth.
  worst = np.lexsort((images.true_scores[wrong], -images.scores[wrong]))
  return Analysis(
    dict(zip(metrics, (both.sum(axis=0) / len(predictions)).tolist())),
    dict(zip(metrics, map(bootstrap.interval, replicates.T))),
    replicates,
    _class_numbers(positions, names, confusion),
    confusion,
    scores.histogram(images.scores, is_right),
    scores.calibration(images.scores, is_right),
    images,
    wrong[worst],
  )


def _true_score(row) -> float:
  return dict(zip(row['predicted'], row['scores'])).get(row['class_id'], 0.0)


def _class_numbers(ids, names, confusion) -> List[ClassNumbers]:
  # Where others have a name, a number may be one, too.
  nameless = 'id {}' if names else '{}'
  right = np.diag(confusion)
  of_class, of_claims = confusion.sum(axis=1), confusion.sum(axis=0)
  with np.errstate(invalid='ignore'):
    columns = (
      right / of_class,
      right / of_claims,
      2 * right / np.maximum(of_class + of_claims, 1),
    )
  return [
    ClassNumbers(key, names.get(key, nameless.format(key)), images, *numbers)
    for key, images, *numbers in zip(
      ids, of_class.tolist(), *(column.tolist() for column in columns)
    )
  ]
