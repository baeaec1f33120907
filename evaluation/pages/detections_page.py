"""Numbers, pictures and advice of a report on detections."""

from typing import Any, Dict, List, Sequence

import numpy as np

from evaluation import report
from evaluation.analysis import analysis as analysis_lib
from evaluation.analysis import error_types
from evaluation.pages import (
  advice,
  confusion_tables,
  page,
  plots,
  report_galleries,
  run_results,
)


def analyses_of(results: run_results.Results) -> List[analysis_lib.Analysis]:
  """Numbers of boxes, and of masks where there are any."""
  kinds = [
    kind
    for kind, key in (('bbox', 'bbox'), ('segm', 'segmentation'))
    if any(key in row for row in results.predictions)
  ]
  return [
    analysis_lib.analyse(
      results.annotations,
      results.predictions,
      kind,
      names=results.names or None,
    )
    for kind in kinds
  ]


def context(
  results: run_results.Results,
  pictures: page.Pictures,
  history: Sequence[Dict[str, Any]],
) -> Dict[str, Any]:
  """What the template `report.html` needs; pictures are added."""
  analyses = analyses_of(results)
  # Where there are masks, they are what the errors are of.
  analysis = analyses[-1]
  galleries = report_galleries.build(analysis, results, pictures)
  return {
    'analyses': analyses,
    'analysis': analysis,
    'metric_rows': report.METRIC_ROWS,
    'advice': advice.advise(
      advice.Facts(
        analysis,
        _scales(results, analysis),
        results.params,
        history,
      )
    ),
    'errors': error_types.ERRORS,
    'galleries': galleries,
    'min_score': usual_score(analysis),
    'curves': _precision_recall(analysis),
    'histogram': plots.histogram(analysis.histogram),
    'calibration': plots.calibration(analysis.calibration),
    'confusion': confusion_tables.tables(
      analysis.confusion, [c.name for c in analysis.classes] + ['background']
    ),
  }


def _scales(results, analysis) -> np.ndarray:
  """Pixels at the model's input for one of each image."""
  scales = np.ones(len(analysis.images.ids))
  if results.params:
    parser = results.params.architecture.parser
    height, width = results.params.lookup(f'{parser}.output_size')
    sizes = {e['id']: e for e in results.annotations['images']}
    for i, image_id in enumerate(analysis.images.ids):
      entry = sizes[int(image_id)]
      scales[i] = min(height / entry['height'], width / entry['width'])
  return scales


def usual_score(analysis: analysis_lib.Analysis) -> float:
  """What of the best scores of classes lies in the middle."""
  scores = [c.best_score for c in analysis.classes if c.best_f1]
  return round(float(np.median(scores)), 2) if scores else 0.0


def _precision_recall(analysis) -> Dict[str, Any]:
  """Curves of the classes with the most objects, and their names."""
  most = sorted(analysis.classes, key=lambda entry: -entry.objects)
  most = [c for c in most if c.id in analysis.precision_recall]
  shown = {c.id: c.name for c in most[: plots.MOST_CURVES]}
  curves = {i: analysis.precision_recall[i] for i in (None, *shown)}
  return {
    'plot': plots.precision_recall(curves),
    'names': shown,
    'num_left_out': len(most) - len(shown),
  }
