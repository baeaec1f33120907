"""Numbers and pictures of a report on classes of whole images."""

from typing import Any, Dict, List

from evaluation.analysis import classification
from evaluation.pages import (
  confusion_tables,
  image_lookup,
  page,
  plots,
  run_results,
)

_NUM_WORST = 120


def context(
  results: run_results.Results, pictures: page.Pictures
) -> Dict[str, Any]:
  """What the template `classes.html` needs; pictures are added."""
  analysis = classification.analyse(results.predictions, results.names)
  return {
    'analysis': analysis,
    'confusion': confusion_tables.tables(
      analysis.confusion, [entry.name for entry in analysis.classes]
    ),
    'histogram': plots.histogram(analysis.histogram),
    'calibration': plots.calibration(analysis.calibration),
    'items': _worst(results, analysis, pictures),
    'num_left_out': pictures.num_left_out,
  }


def _worst(results, analysis, pictures) -> List[page.Item]:
  images = analysis.images
  worst = analysis.worst[:_NUM_WORST]
  ids = images.ids[worst].tolist()
  image_of = image_lookup.lookup(
    results.images,
    {'images': [{'id': image_id} for image_id in ids]},
    ids,
    results.regenerate_source_id,
  )
  items = []
  for i, image_id in zip(worst, ids):
    image = image_of(image_id)
    number = image and pictures.add(image_id, image)
    if number is not None:
      true = analysis.classes[images.classes[i]].name
      claimed = analysis.classes[images.predicted[i]].name
      caption = f'{true}, taken for {claimed} {100 * images.scores[i]:.0f}%'
      tags = {'true': true, 'taken for': claimed}
      items.append(page.Item(number, caption, [('', [])], tags))
  return items
