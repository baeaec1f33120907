"""Everything that a report says of detections, in numbers.

Matches are those of COCO: the best score first, at most 100 detections of a
class in an image, crowds neither found nor missed. Where one IoU is needed, it
is 0.5. Rows whose score is not above 0 hold no detection.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from evaluation import coco_metrics


class ClassNumbers(NamedTuple):
  """A class.

  Attributes:
    id: of the category.
    name: of the category, or its id.
    objects: number of objects, without crowds.
    AP: average precision, as of `coco_metrics`; -1 without objects.
    AP50: at IoU 0.5.
    AP75: at IoU 0.75.
    AR: average recall of at most 100 detections an image.
    best_f1: the highest harmonic mean of precision and recall at IoU 0.5; 0
      without a true positive.
    best_score: the least score of detections that gives `best_f1`; infinity
      without a true positive.
  """

  id: int
  name: str
  objects: int
  AP: float
  AP50: float
  AP75: float
  AR: float
  best_f1: float
  best_score: float


class SizeNumbers(NamedTuple):
  """Objects of an area range.

  Attributes:
    name: 'small', 'medium' or 'large'.
    objects: number of objects, without crowds.
    AP: average precision; -1 without objects.
    AR: average recall of at most 100 detections an image.
    found: how many of the objects any detection finds.
  """

  name: str
  objects: int
  AP: float
  AR: float
  found: int


class PrecisionRecall(NamedTuple):
  """Interpolated precision at the recalls 0, 0.01, ..., 1.

  Attributes:
    iou_50: float [101], at IoU 0.5.
    iou_75: float [101], at IoU 0.75.
    mean: float [101], over IoU 0.5, 0.55, ..., 0.95.
  """

  iou_50: np.ndarray
  iou_75: np.ndarray
  mean: np.ndarray


class ScoreHistogram(NamedTuple):
  """Detections by score, without those on crowds.

  Attributes:
    edges: float [21], the limits of the bins, 0 to 1.
    true_positives: int [20].
    false_positives: int [20].
  """

  edges: np.ndarray
  true_positives: np.ndarray
  false_positives: np.ndarray


class Calibration(NamedTuple):
  """How far scores are the share of detections that are right.

  Attributes:
    edges: float [11], the limits of the bins of scores, 0 to 1.
    counts: int [10], detections, without those on crowds.
    scores: float [10], their mean score; NaN in an empty bin.
    precisions: float [10], the share of true positives; NaN in an empty bin.
    error: expected calibration error, the mean of |score - precision| over
      bins, weighted by their counts.
  """

  edges: np.ndarray
  counts: np.ndarray
  scores: np.ndarray
  precisions: np.ndarray
  error: float


class Errors(NamedTuple):
  """What is lost to which error (https://arxiv.org/abs/2008.08115).

  Attributes:
    AP50: what the errors take away from.
    lost: by type, one of `error_types.ERRORS`, how much higher AP50 would be
      if errors of this type alone were mended.
    lost_to_false_positives: likewise, without any false positive.
    lost_to_false_negatives: likewise, without objects that are not found.
    counts: number of detections, or of objects for 'missed', by type.
    by_class: int [classes, types], `counts` of each class, in the order of
      `Analysis.classes` and `error_types.ERRORS`; a detection counts for the
      class that it claims.
  """

  AP50: float
  lost: Dict[str, float]
  lost_to_false_positives: float
  lost_to_false_negatives: float
  counts: Dict[str, int]
  by_class: np.ndarray


class Detections(NamedTuple):
  """Detections that take part, D of them, by image and falling score.

  Attributes:
    rows: int [D], positions in the list of detections.
    images: int [D], positions in `Images`.
    classes: int [D], positions in `Analysis.classes`.
    scores: float [D].
    types: int [D], positions in `error_types.TYPES`.
    objects: int [D], positions in `Objects`: the object found, or of an error
      the one that the type goes by; -1 of background and crowds.
    ious: float [D], with this object; 0 without.
    kept: bool [D], whether the score is at least its class's `best_score`.
  """

  rows: np.ndarray
  images: np.ndarray
  classes: np.ndarray
  scores: np.ndarray
  types: np.ndarray
  objects: np.ndarray
  ious: np.ndarray
  kept: np.ndarray


class Objects(NamedTuple):
  """Groundtruth without crowds, G objects by image.

  Attributes:
    rows: int [G], positions in the list of annotations.
    images: int [G], positions in `Images`.
    classes: int [G], positions in `Analysis.classes`.
    areas: float [G], in pixels^2.
    detections: int [G], positions in `Detections`: what finds the object; -1
      if nothing does.
    missed: bool [G], whether no detection finds it, nor would if its class or
      its place were right.
    kept: bool [G], whether a detection that is `kept` finds it.
  """

  rows: np.ndarray
  images: np.ndarray
  classes: np.ndarray
  areas: np.ndarray
  detections: np.ndarray
  missed: np.ndarray
  kept: np.ndarray


class Images(NamedTuple):
  """N images in the order of their ids, with detections that are `kept`.

  Attributes:
    ids: int [N].
    true_positives: int [N].
    false_positives: int [N].
    false_negatives: int [N], objects that no detection finds.
    f1: float [N], from these; 1 where there is nothing to find or detected.
      The worst image is the one with the least.
  """

  ids: np.ndarray
  true_positives: np.ndarray
  false_positives: np.ndarray
  false_negatives: np.ndarray
  f1: np.ndarray


class Analysis(NamedTuple):
  """All numbers of a run, of boxes or of masks.

  Attributes:
    iou_type: 'bbox' or 'segm'.
    metrics: the twelve of `coco_metrics.coco_metrics`, without a prefix.
    intervals: 95 % interval of each metric; without samples it is (-1, -1).
    replicates: float [R, 12], the metrics of R resamples of the images, NaN
      without samples. Same images and seed give same resamples.
    class_replicates: float [R, classes], AP of each class; likewise.
    classes: those of the groundtruth by id; K of them.
    sizes: small, medium and large objects.
    precision_recall: by class id, and by None over all classes; classes without
      objects are absent.
    confusion: int [K + 1, K + 1], true classes by predicted ones, the last of
      each is background: detections that are `kept`, each with the object that
      it finds, and those left with one of another class at IoU 0.5.
    histogram: scores of true and of false positives.
    calibration: of scores.
    errors: in the manner of TIDE.
    detections: each detection.
    objects: each object.
    images: each image.
  """

  iou_type: str
  metrics: Dict[str, np.float32]
  intervals: Dict[str, Tuple[float, float]]
  replicates: np.ndarray
  class_replicates: np.ndarray
  classes: List[ClassNumbers]
  sizes: List[SizeNumbers]
  precision_recall: Dict[Optional[int], PrecisionRecall]
  confusion: np.ndarray
  histogram: ScoreHistogram
  calibration: Calibration
  errors: Errors
  detections: Detections
  objects: Objects
  images: Images


class Difference(NamedTuple):
  """A number of two runs.

  Attributes:
    first: of the first run; -1 without samples.
    second: of the second.
    difference: second less first.
    interval: 95 % interval of the difference, by the same resamples.
  """

  first: float
  second: float
  difference: float
  interval: Tuple[float, float]


def analyse(
  groundtruth: Dict[str, Any],
  detections: List[Dict[str, Any]],
  iou_type: str = 'bbox',
  image_ids: Optional[Sequence[int]] = None,
  names: Optional[Dict[int, str]] = None,
  seed: int = 0,
) -> Analysis:
  """Computes all numbers of a report.

  Args:
    groundtruth: images, annotations and categories in COCO's format, as
      `annotation_file.load_annotations` gives them; see `coco_metrics.match`.
    detections: in COCO's result format; get an `area`. Masks need compressed
      run lengths.
    iou_type: 'bbox' or 'segm'; rows without what it needs do not count.
    image_ids: the images to take into account; all of them by default.
    names: of classes by id; by default those of the groundtruth.
    seed: of the resamples.
  """
  raise NotImplementedError


def compare(first: Analysis, second: Analysis) -> Dict[str, Difference]:
  """Differences of two runs, by the names of metrics.

  Raises:
    errors.DataError: the runs are not of the same images.
  """
  raise NotImplementedError


def compare_classes(first: Analysis, second: Analysis) -> Dict[int, Difference]:
  """Differences in AP of two runs by class id; see `compare`."""
  raise NotImplementedError
