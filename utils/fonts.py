"""Fonts that have the characters of a text."""

import functools
import logging
import os
from typing import Dict, FrozenSet, List, Optional, Tuple

import anyascii
from PIL import ImageFont

_log = logging.getLogger(__name__)

# What stands beside a class name.
_DIGITS = ' 0123456789%'
_NUM_EXAMPLES = 3


def load(size: int, text: str = '') -> ImageFont.FreeTypeFont:
  """Returns a font of a height in pixels; one with a text if there is one."""
  return _load(_path_for(text) or _default(), size)


@functools.lru_cache()
def drawable(names: FrozenSet[Tuple[int, str]]) -> Dict[int, str]:
  """Names by class id that can be read in a picture.

  Args:
    names: of classes, with their ids. Where no font of this machine can draw a
      name, the id and a spelling in Latin letters stand in for it.
  """
  others = sorted(name for _, name in names if not _path_for(name))
  if others:
    _log.warning(
      'No font of this machine has the characters of %d class names (%s%s): '
      'pictures show ids and Latin letters. One such as Noto Sans CJK helps.',
      len(others),
      ', '.join(others[:_NUM_EXAMPLES]),
      ', ...' if len(others) > _NUM_EXAMPLES else '',
    )
  return {
    class_id: name
    if _path_for(name)
    else f'{class_id} ({anyascii.anyascii(name)})'
    for class_id, name in names
  }


def _default() -> str:
  # Imported here, as below: only pictures need it, and not every run has some.
  import matplotlib

  # Pillow's own font has one small size; Matplotlib's is on every machine.
  return os.path.join(
    matplotlib.get_data_path(), 'fonts', 'ttf', 'DejaVuSans.ttf'
  )


@functools.lru_cache(maxsize=None)
def _path_for(text: str) -> Optional[str]:
  needed = {ord(character) for character in text + _DIGITS}
  if needed <= _characters(_default()):
    return _default()
  for path in _system_fonts():
    if needed <= _characters(path):
      return path
  return None


@functools.lru_cache()
def _system_fonts() -> List[str]:
  # It takes a second to import, and few names need it.
  from matplotlib import font_manager

  return sorted(font_manager.findSystemFonts())


@functools.lru_cache(maxsize=None)
def _characters(path: str) -> FrozenSet[int]:
  from matplotlib import ft2font

  try:
    characters = frozenset(ft2font.FT2Font(path).get_charmap())
    _load(path, 12)  # One of bitmaps has its own size alone.
  except (OSError, RuntimeError):
    return frozenset()
  return characters


@functools.lru_cache()
def _load(path: str, size: int) -> ImageFont.FreeTypeFont:
  return ImageFont.truetype(path, size)
