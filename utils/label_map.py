"""Label maps: text files that give class ids their names."""

from typing import Dict, Optional

from utils import errors, files, numerals

# Characters of a line in a message.
_NUM_SHOWN = 60


def clean_name(name: str) -> str:
  """Returns a class name as a line of a label map can hold it.

  White space at its ends is dropped, and any within becomes one blank.
  """
  return ' '.join(name.split())


def read_label_map(path: str) -> Dict[int, str]:
  """Reads a label map.

  Each line is `id:name`; the first colon splits. Blank lines are skipped.

  Args:
    path: local or remote (gs://) text file in UTF-8.

  Returns:
    Class names by class id, in the order of the file.

  Raises:
    errors.DataError: the file cannot be read, a line has another form, an id
      or a name occurs twice, or there is no class.
  """
  lines = files.read_unicode(path, 'label map').splitlines()
  names: Dict[int, str] = {}
  known = set()
  for number, line in enumerate(lines, start=1):
    if not line.strip():
      continue
    text, _, name = line.partition(':')
    class_id, name = numerals.integer(text), clean_name(name)
    if not name or class_id is None or class_id < 0:
      raise errors.DataError(
        f"{path}, line {number}: '{line[:_NUM_SHOWN]}' is not of the form "
        '`id:name`, for instance `1:person`.'
      )
    if class_id in names or name in known:
      raise errors.DataError(
        f"{path}, line {number}: '{line[:_NUM_SHOWN]}' repeats an id or a "
        'name of an earlier line.'
      )
    names[class_id] = name
    known.add(name)
  if not names:
    raise errors.DataError(
      f'{path}: the label map is empty; it needs a line `id:name` for each '
      'class.'
    )
  return names


def with_background(names: Optional[Dict[int, str]]) -> Dict[int, str]:
  """Returns class names, class 0's among them; {} if there are none.

  Label maps leave it out, but of a whole image it may be the likeliest.
  """
  return {0: 'background', **names} if names else {}


def write_label_map(path: str, names: Dict[int, str]) -> None:
  """Writes class names by id as lines `id:name`, sorted by id."""
  files.write_text(
    path, ''.join('{}:{}\n'.format(*item) for item in sorted(names.items()))
  )
