"""Statistics of a data set, for dataset.json and its page."""

from typing import Any, Dict, List

import numpy as np

from evaluation.dataset import check_list, object_checks

_QUANTILES = (0, 5, 25, 50, 75, 95, 100)


def summary(
  data: check_list.Data, findings: List[check_list.Finding]
) -> Dict[str, Any]:
  """Returns the content of dataset.json.

  Sizes of objects are square roots of areas, in pixels of the image that the
  model sees; quantiles are by per cent.
  """
  counts = {part.name: object_checks.class_counts(part) for part in data.parts}
  return {
    'model': data.params.type,
    'sets': {part.name: _of_part(part) for part in data.parts},
    'classes': [
      {
        'id': i,
        'name': data.names.get(i, ''),
        **{name: of_part.get(i, 0) for name, of_part in counts.items()},
      }
      for i in sorted(set(data.names).union(*counts.values()))
    ],
    'findings': [
      {
        **{
          key: getattr(found, key)
          for key in ('severity', 'title', 'count', 'of', 'example', 'remedy')
        },
        'set': found.part.name,
        **{
          key: [getattr(found.part.contents, key)[i] for i in found.images]
          for key in ('source_ids', 'file_names')
        },
        **found.details,
      }
      for found in findings
    ],
  }


def _of_part(part: check_list.Part) -> Dict[str, Any]:
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
  if part.data.learns_objects:
    _, boxes = object_checks.in_model(part)
    sides = boxes[:, 2:] - boxes[:, :2]
    found.update(
      objects=len(contents.classes),
      crowds=int(contents.is_crowd.sum()),
      images_without_objects=int((contents.counts == 0).sum()),
      objects_of_an_image=_quantiles(contents.counts),
      object_sizes=_quantiles(np.sqrt(sides[:, 0] * sides[:, 1])),
    )
  return found


def _quantiles(values: np.ndarray) -> Dict[str, float]:
  if not len(values):
    return {}
  found = np.percentile(values, _QUANTILES).round(1).tolist()
  return dict(zip(map(str, _QUANTILES), found))
