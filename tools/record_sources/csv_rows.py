"""Rows of a CSV file with a line of column names."""

import codecs
import csv
import io
import json
import os
import re
from typing import Dict, Iterator, List, Optional, Tuple

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
    path: as given.
    columns: their names in lower case, letters and digits only: `xmin` for
      `x_min` and `XMin`.

  Raises:
    errors.DataError: the file cannot be read.
  """

  def __init__(self, path: str):
    self.path = path
    header = next(lines(path), '')
    # Python's sniffer looks at decimal commas, too.
    self._delimiter = max(_DELIMITERS, key=header.count)
    names = next(csv.reader([header], delimiter=self._delimiter), [])
    self.columns = [re.sub('[^a-z0-9]', '', name.lower()) for name in names]

  def rows(
    self, report: report_lib.Report
  ) -> Iterator[Tuple[str, Dict[str, str]]]:
    """Yields 'line N' and the cells of each row that is not empty, by column.

    Args:
      report: receives rows that are malformed.
    """
    name = os.path.basename(self.path)
    reader = csv.reader(
      lines(self.path), delimiter=self._delimiter, strict=True
    )
    while True:
      place = f'line {reader.line_num + 1}'
      try:
        cells = next(reader, None)
      except csv.Error as error:
        what = f'{place} up to {reader.line_num}: {error}; is a quote missing?'
        report.add('malformed_line', name, what)
        continue
      if cells is None:
        return
      if reader.line_num == 1 or not any(cell.strip() for cell in cells):
        continue
      if len(cells) != len(self.columns):
        report.add(
          'malformed_line',
          name,
          f'{place}: {len(cells)} cells, not {len(self.columns)} as the first '
          f'line has: {self._delimiter.join(cells)[:_NUM_SHOWN]!r}',
        )
        continue
      yield place, dict(zip(self.columns, map(str.strip, cells)))

  def numbers(self, cells: List[str]) -> List[Optional[float]]:
    """Returns the number in each cell, None for what is none.

    Between semicolons a comma may be that of a decimal.
    """
    if self._delimiter == ';':
      cells = [cell.replace(',', '.') for cell in cells]
    return [numerals.number(cell) for cell in cells]


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
