"""Report of what could not be converted as it was."""

import collections
from typing import Any, Container, Dict, List, NamedTuple, Sequence

from rich import table as rich_table

_NUM_EXAMPLES = 3
# Characters of one; a path is shorter.
_MOST_SHOWN = 500


class _Kind(NamedTuple):
  what: str
  consequence: str
  is_problem: bool = True


# A consequence ends with what can be done.
_KINDS = {
  'missing_image': _Kind('image file does not exist', 'left out; --image_dir?'),
  'unreadable_image': _Kind('image does not decode', 'left out; save it again'),
  'unknown_format': _Kind(
    'image of a format that is not read', 'left out; make it a JPEG or PNG'
  ),
  'size_contradicts': _Kind("size is not the image's", 'left out; annotate it'),
  'missing_annotation': _Kind('listed, but has no xml', 'image left out'),
  'unreadable_annotation': _Kind(
    'annotation cannot be read', 'image left out; save it again'
  ),
  'duplicate_image': _Kind('image occurs again', 'repetition left out'),
  'unknown_image_id': _Kind('box of an image not listed', 'left out; list it'),
  'unknown_class': _Kind(
    'class without a name, or not in the label map', 'box left out; name it'
  ),
  'joined_splits': _Kind(
    'source is split already',
    'read as one; --name=SPLIT alone reads one',
    False,
  ),
  'ids_from_zero': _Kind('category ids start at 0', 'one added to each', False),
  'malformed_line': _Kind('line that cannot be used', 'left out; mend it'),
  'other_shape': _Kind('shape has no box', 'left out; draw a rectangle'),
  'duplicate_box': _Kind('object occurs again', 'repetition left out'),
  'label_without_image': _Kind('label file without an image', 'left out'),
  'no_label_file': _Kind('image has no label file', 'no objects', False),
  'other_images': _Kind('boxes of images elsewhere', 'left out', False),
  'malformed_box': _Kind('coordinate is no number', 'left out; write numbers'),
  'box_without_area': _Kind(
    'box without area or inverted', 'box left out; min before max'
  ),
  'box_of_shares': _Kind(
    'box in shares of 1, not in pixels', 'box left out; times the side'
  ),
  'box_of_pixels': _Kind(
    'box in pixels, not in shares of 1', 'box left out; divide by the side'
  ),
  'box_outside_image': _Kind(
    'box wholly outside the image', 'box left out; draw it again'
  ),
  'box_clipped': _Kind('box reaches beyond the image', 'clipped'),
  'no_mask': _Kind('object without a segmentation', 'object left out'),
  'malformed_mask': _Kind('segmentation is no mask', 'object left out'),
  'empty_mask': _Kind('mask without a pixel', 'object left out'),
  'unreadable_mask': _Kind('mask file cannot be used', 'left out'),
  'one_label': _Kind('label image of black and white', 'taken as one object'),
  'image_without_masks': _Kind('image has no masks', 'left out', False),
  'size_differs': _Kind('image was resized since', 'boxes scaled'),
  'turned_upright': _Kind('EXIF says it is turned', 'turned upright', False),
  'found_by_stem': _Kind(
    'image not named as in the xml', 'same name as the xml used', False
  ),
  'not_annotated': _Kind('image is not annotated', 'left out', False),
  'difficult': _Kind('object marked difficult', 'stored as crowd', False),
  're_encoded': _Kind('training would see others', 'stored as PNG', False),
  'file_without_class': _Kind('file in no folder of a class', 'left out'),
  'folder_in_class': _Kind('folder within that of a class', 'left out'),
  'unknown_folder': _Kind('folder is not in the label map', 'left out'),
  'similar_folder': _Kind('folders differ in case alone', 'two classes'),
  'class_without_image': _Kind('class has no image', 'none written'),
  'box_too_small': _Kind('box too small for a picture', 'box left out'),
  'crowd_box': _Kind('box of a crowd', 'box left out', False),
  'no_picture': _Kind('hidden, or no picture by its name', 'left out', False),
  'made_jpeg': _Kind('not a plain JPEG', 'stored as JPEG', False),
}


class Report:
  """Every finding of one conversion, with the file that it concerns."""

  def __init__(self):
    self._findings = collections.defaultdict(list)

  def add(self, kind: str, file_name: str, detail: str = '') -> None:
    """Records one finding; `kind` is one of the kinds listed above."""
    if kind not in _KINDS:
      raise KeyError(kind)
    self._findings[kind].append({'file': file_name, 'detail': detail})

  def extend(self, other: 'Report') -> None:
    """Adds the findings of another one."""
    for kind, findings in other._findings.items():
      self._findings[kind].extend(findings)

  def divided(self, parts: Sequence[Container[str]]) -> List['Report']:
    """Moves the findings into a report for each part of a set.

    Args:
      parts: the files that each is of. What concerns another file, such as that
        of the annotations, goes to the first report.
    """
    reports = [Report() for _ in parts]
    for kind, findings in self._findings.items():
      for finding in findings:
        indices = [i for i, part in enumerate(parts) if finding['file'] in part]
        reports[(indices or [0])[0]]._findings[kind].append(finding)
    self._findings.clear()
    return reports

  def count(self, kind: str) -> int:
    return len(self.files(kind))

  def files(self, kind: str) -> List[str]:
    return [finding['file'] for finding in self._findings.get(kind, ())]

  def summary(self) -> str:
    """Returns a sentence for each kind of problem, with an example."""
    return ' '.join(
      '{}: {}, such as {}.'.format(
        entry['what'][0].upper() + entry['what'][1:],
        entry['count'],
        _describe(entry['findings'][0]).rstrip('.'),
      )
      for entry in self.as_dict().values()
      if entry['is_problem']
    )

  @property
  def num_problems(self) -> int:
    """Findings that a clean data set would not have."""
    entries = self.as_dict().values()
    return sum(entry['count'] for entry in entries if entry['is_problem'])

  def as_dict(self) -> Dict[str, Any]:
    """Returns all findings, by kind, for the report file."""
    return {
      kind: {
        **_KINDS[kind]._asdict(),
        'count': len(self._findings[kind]),
        'findings': self._findings[kind],
      }
      for kind in _KINDS
      if kind in self._findings
    }

  def as_table(self) -> rich_table.Table:
    """Returns a table of the counts, each with its first few findings."""
    table = rich_table.Table(title='Findings')
    for column in ('finding', 'consequence', 'count', 'files'):
      table.add_column(column)
    table.add_column('for example', overflow='fold')
    for entry in self.as_dict().values():
      found = entry['findings']
      examples = [_describe(finding) for finding in found[:_NUM_EXAMPLES]]
      table.add_row(
        *(entry['what'], entry['consequence'], str(entry['count'])),
        str(len({finding['file'] for finding in found})),
        '\n'.join(examples + ['...'] * (len(found) > _NUM_EXAMPLES)),
        style='yellow' if entry['is_problem'] else None,
      )
    return table


def _describe(finding: Dict[str, str]) -> str:
  parts: List[str] = [finding['file'], finding['detail']]
  text = ': '.join(part for part in parts if part)
  return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + '...'
