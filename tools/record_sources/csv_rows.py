"""Rows of a CSV file with a line of column names."""

import codecs
import csv
import io
import json
import operator
import os
import re
from typing import Iterator, List, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

from tools.record_sources import report as report_lib
from utils import errors, numerals

_CHUNK = 2**20
_DELIMITERS = ',;\t|'
_NUM_SHOWN = 60


class Table:
  """A file that is read as far as it is asked for: some have gigabytes.

  Args:
    path: local path or bucket URL; UTF-8, UTF-16 or UTF-32.

  Attributes:
    name: that of the file.
    columns: their names in lower case, letters and digits only: `xmin` for
      `x_min` and `XMin`.

  Raises:
    errors.DataError: the file cannot be read.
  """

  def __init__(self, path: str):
    self._path, self.name = path, os.path.basename(path)
    self._lines = lines(path)
    header = next(self._lines, '')
    # Python's sniffer looks at decimal commas, too.
    self._delimiter = max(_DELIMITERS, key=header.count)
    self.columns = [
      re.sub('[^a-z0-9]', '', name.lower())
      for name in header.split(self._delimiter)
    ]

  def lacking(self, columns: str) -> errors.DataError:
    """Returns the error for a file without columns that are needed."""
    return errors.DataError(
      f'{self._path}: its first line has to name the columns {columns}; it has '
      f'{errors.shown(self.columns)}.'
    )

  def rows(
    self, columns: Sequence[str], report: report_lib.Report
  ) -> Iterator[Tuple[int, Tuple[str, ...]]]:
    """Yields, once, number and cells of each line that is not empty.

    Args:
      columns: those to return, at least two of `self.columns`.
      report: receives lines that are malformed.
    """
    pick = operator.itemgetter(*map(self.columns.index, columns))
    style = {'delimiter': self._delimiter, 'skipinitialspace': True}
    reader = csv.reader(self._lines, **style, strict=True)
    cells: Optional[List[str]] = []
    while cells is not None:
      number = reader.line_num + 2
      try:
        cells = next(reader, None)
      except csv.Error as error:
        what = f'line {number} up to {reader.line_num + 1}: {error}'
        report.add('malformed_line', self.name, what + '; is a quote missing?')
        continue
      if len(cells or ()) == len(self.columns) and any(cells):
        yield number, pick(cells)
      elif any(cells or ()):
        shown = self._delimiter.join(cells)[:_NUM_SHOWN]
        what = f'line {number}: {len(cells)} cells, not {len(self.columns)} as '
        what += f'the first line has: {shown!r}'
        report.add('malformed_line', self.name, what)

  def edges(
    self, line: int, cells: Sequence[str], report: report_lib.Report
  ) -> Optional[List[float]]:
    """Returns the numbers in four cells; None, reported, if one is none.

    Between semicolons a comma may be that of a decimal.
    """
    if self._delimiter == ';':
      cells = [cell.replace(',', '.') for cell in cells]
    numbers = [numerals.number(cell) for cell in cells]
    if None not in numbers:
      return numbers
    shown = ', '.join(cells)[:_NUM_SHOWN]
    what = f'line {line}: {shown!r}; needed are four numbers'
    report.add('malformed_box', self.name, what)
    return None


def lines(path: str) -> Iterator[str]:
  """Yields the lines of a text file, without their ends.

  Raises:
    errors.DataError: the file cannot be read, or is no Unicode text.
  """
  try:
    with tf.io.gfile.GFile(path, 'rb') as source:
      content = source.read(_CHUNK)
      encoding = json.detect_encoding(content)
      decoder = io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder(encoding)(), translate=True
      )
      rest = ''
      while content:
        *whole, rest = (rest + decoder.decode(content)).split('\n')
        yield from whole
        content = source.read(_CHUNK)
      yield rest + decoder.decode(b'', final=True)
  except UnicodeDecodeError as error:
    raise errors.DataError(
      f'{path} is no Unicode text ({error.reason}). Save it as UTF-8.'
    ) from error
  except tf.errors.OpError as error:
    raise errors.DataError(f'{path} cannot be read: {error}') from error
