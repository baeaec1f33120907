"""Numbers and pictures of a report on classes of whole images."""

from typing import Any, Dict

import numpy as np

from evaluation.pages import (
  confusion_tables,
  image_lookup,
  page,
  run_results,
)

_NUM_WORST = 120


def context(
  results: run_results.Results, pictures: page.Pictures
) -> Dict[str, Any]:
  """What the template `classes.html` needs; pictures are added."""
  rows = results.predictions
  true = np.array([row['class_id'] for row in rows])
  claimed = np.array([row['predicted'][0] for row in rows])
  ids = np.unique([true, claimed])
  names = [results.names.get(i, str(i)) for i in ids.tolist()]
  matrix = np.zeros([len(ids)] * 2, int)
  np.add.at(
    matrix, (np.searchsorted(ids, true), np.searchsorted(ids, claimed)), 1
  )
  among = sum(row['class_id'] in row['predicted'] for row in rows)
  right, totals = np.diag(matrix), matrix.sum(axis=1)
  return {
    'num_images': len(rows),
    'metrics': {
      'top_1_accuracy': right.sum() / len(rows),
      'top_5_accuracy': among / len(rows),
    },
    'classes': [
      (name, int(total), hits / total, int(of_class) - int(hits))
      for name, total, hits, of_class in zip(
        names, totals, right, matrix.sum(axis=0)
      )
      if total
    ],
    'confusion': confusion_tables.tables(matrix, names),
    'items': _worst(results, dict(zip(ids.tolist(), names)), pictures),
    'num_left_out': pictures.num_left_out,
  }


def _worst(results, names, pictures):
  """Images of a wrong class, the surest ones first."""
  wrong = [r for r in results.predictions if r['class_id'] != r['predicted'][0]]
  wrong = sorted(wrong, key=lambda row: -row['scores'][0])[:_NUM_WORST]
  ids = [row['image_id'] for row in wrong]
  image_of = image_lookup.lookup(
    results.images,
    {'images': [{'id': image_id} for image_id in ids]},
    ids,
    results.regenerate_source_id,
  )
  items = []
  for row in wrong:
    image = image_of(row['image_id'])
    number = image and pictures.add(row['image_id'], image)
    if number is not None:
      true, claimed = names[row['class_id']], names[row['predicted'][0]]
      caption = f'{true}, taken for {claimed} {100 * row["scores"][0]:.0f}%'
      tags = {'true': true, 'taken for': claimed}
      items.append(page.Item(number, caption, [('', [])], tags))
  return items
