"""The page of an evaluation: numbers, errors, pictures, advice."""

import logging
from typing import Any, Dict

from evaluation.pages import (
  classes_page,
  detections_page,
  page,
  plots,
  run_results,
)

_log = logging.getLogger(__name__)

_CURVES = ('AP', 'AP50', 'AP75', 'top_1_accuracy', 'top_5_accuracy')


def write(path: str, results: run_results.Results) -> None:
  """Writes the page.

  Args:
    path: of the file, local or remote.
    results: what it is about.

  Raises:
    errors.DataError: none of the images is where they should be.
  """
  pictures = page.Pictures()
  about = {'title': results.title, **_of_run(results)}
  if results.annotations is None:
    template, context = 'classes.html', classes_page.context(results, pictures)
  else:
    template = 'report.html'
    context = detections_page.context(
      results, pictures, about['facts']['evaluations']
    )
  page.write(path, template, pictures, **about, **context)
  _log.info("The report is '%s'; open it in a browser.", path)


def _of_run(results) -> Dict[str, Any]:
  facts = run_results.facts(results)
  lines = []
  metrics: Dict[str, Any] = {}
  losses: Dict[str, Any] = {}
  for entry in facts['evaluations']:
    for name, value in entry['metrics'].items():
      is_loss = name.endswith('loss')
      if value is not None and (is_loss or name in _CURVES):
        curve = (losses if is_loss else metrics).setdefault(name, ([], []))
        curve[0].append(entry['step'])
        curve[1].append(value)
  for title, curves in (('metrics', metrics), ('losses', losses)):
    if curves and len(facts['evaluations']) > 1:
      lines.append(plots.curves(title, curves))
  return {'facts': facts, 'learning_curves': lines}
