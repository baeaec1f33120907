"""Statistics of a data set, for dataset.json and its page."""

from typing import Any, Dict, List

import numpy as np

from evaluation.dataset import check_list, data_check, object_checks

_QUANTILES = (0, 5, 25, 50, 75, 95, 100)


def summary(
  data: check_list.Data, findings: List[data_check.Finding]
) -> Dict[str, Any]:
  """Returns the content of dataset.json.

  Sizes of objects are square roots of areas, in pixels of the image that the
  model sees; quantiles are by per cent.
  """
  return {
    'model': data.params.type,
    'sets': {part.name: _of_part(data, part) for part in data.parts},
    'findings': [
      {
        'severity': finding.severity,
        'title': finding.check.title,
        'set': finding.part.name,
        'count': finding.found.count,
        'of': finding.found.of,
        'example': finding.found.example,
        'remedy': finding.remedy,
        'source_ids': [
          finding.part.contents.source_ids[i] for i in finding.found.images
        ],
        **finding.found.details,
      }
      for finding in findings
    ],
  }


def _of_part(data: check_list.Data, part: check_list.Part) -> Dict[str, Any]:
  contents = part.contents
  found = {
    'files': len(contents.files),
    'images': contents.num_images,
    'unreadable_records': len(contents.problems),
    'image_heights': _quantiles(contents.sizes[:, 0]),
    'image_widths': _quantiles(contents.sizes[:, 1]),
    'formats': {
      kind: contents.formats.count(kind)
      for kind in sorted(set(contents.formats))
    },
  }
  if data.learns_objects:
    _, boxes = object_checks.in_model(data, part)
    sides = boxes[:, 2:] - boxes[:, :2]
    found.update(
      objects=len(contents.classes),
      crowds=int(contents.is_crowd.sum()),
      images_without_objects=int((contents.counts == 0).sum()),
      objects_of_an_image=_quantiles(contents.counts),
      object_sizes=_quantiles(np.sqrt(sides[:, 0] * sides[:, 1])),
    )
  counts = object_checks.class_counts(part)
  found['classes'] = [
    {'id': i, 'name': data.names.get(i, ''), 'count': counts[i]} for i in counts
  ]
  return found


def _quantiles(values: np.ndarray) -> Dict[str, float]:
  if not len(values):
    return {}
  found = np.percentile(values, _QUANTILES).round(1).tolist()
  return dict(zip(map(str, _QUANTILES), found))
