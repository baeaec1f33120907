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
  kept = kept & (verdicts.types != error_types.CROWD)
  is_true = kept & (verdicts.types == error_types.TRUE)
  about = np.where(is_true, verdicts.objects, -1)
  is_free = ~objects.is_crowd
  is_free[about[is_true]] = False
  waits = kept & ~is_true
  pairs = matches.pairs[
    waits[matches.pairs.detections] & (matches.pairs.ious >= error_types.FOUND)
  ]
  order = np.lexsort((-pairs.ious, -detections.scores[pairs.detections]))
  for detection, near in zip(pairs.detections[order], pairs.objects[order]):
    is_other = detections.classes[detection] != objects.classes[near]
    if waits[detection] and is_free[near] and is_other:
      about[detection] = near
      waits[detection] = is_free[near] = False
  background = matches.num_classes
  table = np.zeros([background + 1, background + 1], np.int64)
  true_classes = np.append(objects.classes, background)[about[kept]]
  np.add.at(table, (true_classes, detections.classes[kept]), 1)
  np.add.at(table[:, background], objects.classes[is_free], 1)
  return table
