"""Writes the table of all parameters into the documentation.

python -m configs.reference docs/config.md
"""

import json
import sys
from typing import Sequence

from configs import factory
from configs import kinds as kinds_lib
from configs.keys import Key
from utils import files

BEGIN = '<!-- parameters: made by python -m configs.reference -->'
END = '<!-- end of parameters -->'


def markdown_table(keys: Sequence[Key]) -> str:
  """Returns a Markdown table: key, default, kind, meaning."""
  rows = ['| key | default | kind | meaning |', '|---|---|---|---|']
  for key in keys:
    kind = kinds_lib.kind_name(key.kind or kinds_lib.kind_of(key.default))
    cells = (
      '`{}`'.format(key.path),
      '`{}`'.format(json.dumps(key.default)),
      kind,
      key.meaning,
    )
    rows.append(
      '| {} |'.format(' | '.join(cell.replace('|', r'\|') for cell in cells))
    )
  return '\n'.join(rows) + '\n'


def with_tables(document: str) -> str:
  """Returns `document` with the tables between the marks made anew."""
  begin, end = document.index(BEGIN), document.index(END)
  tables = ''.join(
    '\n### {}\n\n{}'.format(model, markdown_table(factory.declared_keys(model)))
    for model in factory.model_names()
  )
  return '{}{}\n{}\n{}'.format(document[:begin], BEGIN, tables, document[end:])


def main() -> None:
  for path in sys.argv[1:]:
    files.write_text(path, with_tables(files.read_text(path)))


if __name__ == '__main__':
  main()
