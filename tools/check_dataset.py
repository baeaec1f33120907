"""Checks the data that a config names, before a run does.

  python tools/check_dataset.py my.yaml --data_dir=DIR

reads the records of training and evaluation, the annotation file and the label
map, decodes every image, and prints what is wrong. dataset.json gets all of it,
with statistics, and dataset.html pictures of what was found. Exit code: 0, or 1
if there is an error.
"""

import os
import re
import sys
from typing import Any, List

from absl import flags

from utils import errors, files, program

FLAGS = flags.FLAGS

flags.DEFINE_string(
  'params_override',
  None,
  'Parameters as YAML or JSON text, as a.b=1,c=2, or the path of a file.',
)
flags.DEFINE_string(
  'data_dir', None, 'Directory that relative data paths start from.'
)
flags.DEFINE_string(
  'output_dir', '.', 'Where dataset.json and dataset.html are written.'
)
flags.DEFINE_bool('decode_images', True, 'Also decode every image.')

# The folder of a file would fill the table.
_LONG_NAME = re.compile("TFRecord file '(?:[^']*/)?([^'/]*)'")


def _table(findings: List[Any]) -> Any:
  import rich.table

  table = rich.table.Table()
  table.add_column('finding', ratio=2, overflow='fold')
  for name in ('severity', 'set', 'count'):
    table.add_column(name)
  table.add_column('example', ratio=2, overflow='fold')
  table.add_column('what to do', ratio=3, overflow='fold')
  for found in findings:
    example = _LONG_NAME.sub(r'\1', found.example)
    table.add_row(
      found.title,
      found.severity,
      found.part.name,
      found.amount,
      example,
      found.remedy,
    )
  return table


def main(argv: List[str]) -> None:
  if len(argv) != 2:
    raise errors.ConfigError(
      f'{len(argv) - 1} configs are given; needed is one: '
      'tools/check_dataset.py CONFIG'
    )
  # Imports TensorFlow, which is quiet only if logging is set up before.
  program.quieten_tensorflow()
  import rich.console

  from configs import resolver
  from evaluation.dataset import data_check, dataset_page, statistics
  from evaluation.pages import page
  from executor import hardware

  params = resolver.resolve(
    config_file=argv[1],
    params_override=FLAGS.params_override,
    flags={'data_dir': FLAGS.data_dir},
  ).params
  data = data_check.load(
    params,
    decode_images=FLAGS.decode_images,
    num_workers=hardware.num_hosts(params),
  )
  findings = data_check.check(data)
  if findings:
    width = None if sys.stdout.isatty() else 100
    rich.console.Console(width=width, markup=False).print(_table(findings))
  summary = statistics.summary(data, findings)
  path = os.path.join(FLAGS.output_dir, 'dataset')
  files.write_json(path + '.json', summary, indent=1)
  title = os.path.basename(argv[1])
  dataset_page.write(path + '.html', title, findings, summary)
  sets = [
    f'{part.contents.num_images:,} images of {part.name}' for part in data.parts
  ]
  num_errors = sum(found.is_error for found in findings)
  print(
    f'{", ".join(sets)}: {page.counted(len(findings), "finding")}, '
    f'{page.counted(num_errors, "error")}. Wrote {path}.json and {path}.html.'
  )
  if num_errors:
    sys.exit(1)


if __name__ == '__main__':
  program.run(main, takes_arguments=True)
