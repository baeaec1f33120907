"""Which class is taken for which, with background."""

import numpy as np

from evaluation.analysis import error_types, matching


def count(
  matches: matching.Matches, verdicts: error_types.Verdicts, kept: np.ndarray
) -> np.ndarray:
  """Returns int [K + 1, K + 1], true classes by predicted ones.

  The last row is background that is taken for an object, the last column
  objects taken for background. What is right at IoU 0.5 is right; then the
  best of the other detections take the object of another class that they
  overlap most, at IoU 0.5, if none has it.

  Args:
    matches: of all images.
    verdicts: on them.
    kept: bool [D], detections to count; on crowds they never are.
  """
  detections, objects = matches.detections, matches.objects
  is_true = verdicts.types == error_types.TYPES.index('true positive')
  is_crowd = verdicts.types == error_types.TYPES.index('crowd')
  is_free = ~objects.is_crowd
  is_free[verdicts.objects[is_true & kept]] = False
  about = np.where(is_true, verdicts.objects, -1)
  waits = kept & ~is_true & ~is_crowd
  pairs = matches.pairs
  pairs = pairs.take(
    waits[pairs.detections]
    & is_free[pairs.objects]
    & (pairs.ious >= error_types.FOUND)
    & (detections.classes[pairs.detections] != objects.classes[pairs.objects])
  )
  order = np.lexsort((-pairs.ious, -detections.scores[pairs.detections]))
  for detection, near in zip(pairs.detections[order], pairs.objects[order]):
    if waits[detection] and is_free[near]:
      about[detection] = near
      waits[detection] = is_free[near] = False
  background = matches.num_classes
  is_counted = kept & ~is_crowd
  table = np.zeros([background + 1, background + 1], np.int64)
  true_classes = np.append(objects.classes, background)[about[is_counted]]
  np.add.at(table, (true_classes, detections.classes[is_counted]), 1)
  np.add.at(table[:, background], objects.classes[is_free], 1)
  return table
