"""The page of two runs on the same images."""

import logging
from typing import Any, List

import numpy as np

from evaluation import report
from evaluation.analysis import comparison
from evaluation.pages import (
  detections_page,
  image_lookup,
  page,
  report_galleries,
  run_results,
)
from utils import errors

_log = logging.getLogger(__name__)


def write(
  path: str, first: run_results.Results, second: run_results.Results
) -> None:
  """Writes the page.

  Args:
    path: of the file, local or remote.
    first: a run.
    second: another one; differences are this one less the first.

  Raises:
    errors.DataError: the runs are not of the same images, or one of classes of
      images.
  """
  runs = (first, second)
  if any(run.annotations is None for run in runs):
    raise errors.DataError(
      '--compare: runs of detections are compared; give model_dirs or files of '
      'those.'
    )
  analyses = [detections_page.analyses_of(run)[-1] for run in runs]
  differences = comparison.compare(*analyses)
  of_classes = comparison.compare_classes(*analyses)
  pictures = page.Pictures()
  page.write(
    path,
    'compare.html',
    pictures,
    titles=[run.title for run in runs],
    analyses=analyses,
    metric_rows=report.METRIC_ROWS,
    differences=differences,
    classes=[(entry, of_classes[entry.id]) for entry in analyses[0].classes],
    changes=_changes(*runs),
    items=_changed_images(runs, analyses, pictures),
    num_left_out=pictures.num_left_out,
    min_score=detections_page.usual_score(analyses[0]),
  )
  _log.info("The comparison is '%s'; open it in a browser.", path)


def _changes(first, second) -> List[Any]:
  """Keys whose values differ, with both."""
  if not (first.params and second.params):
    return []
  values = [dict(run.params.leaves()) for run in (first, second)]
  keys = sorted({*values[0], *values[1]} - {'model_dir'})
  return [
    (key, *(of_run.get(key, '-') for of_run in values))
    for key in keys
    if values[0].get(key) != values[1].get(key)
  ]


def _changed_images(runs, analyses, pictures) -> List[page.Item]:
  """Images whose errors changed most, groundtruth beside both runs."""
  of_images = [analysis.images for analysis in analyses]
  wrong = [
    images.false_positives + images.false_negatives for images in of_images
  ]
  change = of_images[1].f1 - of_images[0].f1
  order = np.lexsort([-np.abs(wrong[1] - wrong[0]), -np.abs(change)])
  order = [i for i in order if change[i]][: report_galleries.NUM_WORST]
  ids = [int(of_images[0].ids[i]) for i in order]
  image_of = image_lookup.lookup(
    runs[0].images, runs[0].annotations, ids, runs[0].regenerate_source_id
  )
  scenes = [
    report_galleries.Scenes(analysis, run)
    for analysis, run in zip(analyses, runs)
  ]
  items = []
  for i, image_id in zip(order, ids):
    loaded = image_of(image_id)
    number = loaded and pictures.add(image_id, loaded)
    if number is None:
      continue
    sides = [('Groundtruth', scenes[1].truths(i))]
    for run, scene in zip(runs, scenes):
      sides.append((run.title, scene.all_found(i)))
    caption = '{}: {} errors, then {}'.format(
      scenes[0].name(i), wrong[0][i], wrong[1][i]
    )
    tags = {'change': 'better' if change[i] > 0 else 'worse'}
    items.append(page.Item(number, caption, sides, tags))
  return items
