"""The page of two runs on the same images."""

import logging
from typing import Iterator

import numpy as np

from evaluation.analysis import comparison
from evaluation.pages import page, report_galleries, report_page, run_results
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
    errors.DataError: the runs are not of the same images, or have neither boxes
      nor masks in common.
  """
  runs = first, second
  kinds = [report_page.kinds(run) for run in runs]
  shared = [kind for kind in kinds[0] if kind in kinds[1]]
  if not shared:
    raise errors.DataError(
      '--compare: both runs need boxes, or masks; give model_dirs or files of '
      'detections.'
    )
  comparison.check_same(first.annotations, second.annotations)
  analyses = [report_page.analyse(run, shared[-1]) for run in runs]
  metrics, classes = comparison.compare(*analyses)
  keys, others = (
    dict(run.params.leaves()) if run.params else {} for run in runs
  )
  changes = [
    (key, keys.get(key, '-'), others.get(key, '-'))
    for key in sorted({*keys, *others} - {'model_dir'})
    if keys and others and keys.get(key) != others.get(key)
  ]
  galleries = {'Images': list(_changed_images(runs, analyses))}
  pictures = page.Pictures()
  page.write(
    path,
    'compare.html',
    pictures,
    titles=[run.title for run in runs],
    analyses=analyses,
    metrics=metrics,
    classes=list(zip(analyses[0].classes, classes)),
    changes=changes,
    galleries=report_galleries.with_pictures(galleries, first, pictures),
    min_score=report_page.usual_score(analyses[0]),
  )
  _log.info("The comparison is '%s'; open it in a browser.", path)


def _changed_images(runs, analyses) -> Iterator[page.Item]:
  """Images whose errors changed most, groundtruth beside both runs."""
  before, after = (analysis.images for analysis in analyses)
  wrong = [images.wrong + images.missed for images in (before, after)]
  change = after.f1 - before.f1
  order = np.lexsort([-np.abs(wrong[1] - wrong[0]), -np.abs(change)])
  scenes = [report_galleries.Scenes(*each) for each in zip(analyses, runs)]
  for i in order[change[order] != 0][: report_galleries.NUM_WORST]:
    sides = [('Groundtruth', scenes[1].truths(i))]
    sides += [
      (run.title, scene.detections(i)) for run, scene in zip(runs, scenes)
    ]
    errors_then = page.counted(wrong[0][i], 'error')
    caption = f'{scenes[0].name(i)}: {errors_then}, then {wrong[1][i]}'
    tags = {'change': 'better' if change[i] > 0 else 'worse'}
    yield page.Item(int(before.ids[i]), caption, sides, tags)
