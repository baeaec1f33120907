"""Writes a config for one's own records and this machine.

  python tools/new_config.py records --minutes=60 --output=my.yaml

RECORDS is the folder that tools/create_tf_record.py wrote, or a pattern of the
training records. What lies beside them is found by its name. Each line of the
config says why it is so.

A few training steps are measured here; for another machine
--images_per_second says how fast it trains configs/yaml/small_cpu.yaml with as
many classes.
"""

import logging
import os
import shlex
from typing import Any, List

from absl import flags

from utils import errors, files, program

FLAGS = flags.FLAGS

flags.DEFINE_float('minutes', 60.0, 'Of the training, all in all.', 0.1, 1e6)
flags.DEFINE_string('output', None, 'YAML file to write.')
flags.DEFINE_float(
  'images_per_second',
  None,
  'Of small_cpu.yaml in training; by default steps are measured here.',
  0.001,
)
flags.DEFINE_string('checkpoint', '', 'Trained backbone to start from.')
flags.DEFINE_string('eval_file_pattern', None, 'Records to evaluate with.')
flags.mark_flag_as_required('output')


def main(argv: List[str]) -> None:
  if len(argv) != 2:
    raise errors.ConfigError(
      f'{len(argv) - 1} arguments are not flags, but one is needed, a folder '
      'or pattern of records: tools/new_config.py records --output=my.yaml'
    )
  if os.path.exists(FLAGS.output):
    raise errors.ConfigError(
      f"--output: '{FLAGS.output}' exists, and is not overwritten. Delete it, "
      'or give another name.'
    )
  # The modules below import TensorFlow, which has to be quiet by then.
  program.quieten_tensorflow()
  from tools.starter import choices, facts, networks, plan, record_sets, speed

  # What the library would say of a run concerns none here.
  logging.disable(logging.WARNING)
  found = record_sets.find(argv[1], FLAGS.eval_file_pattern)
  data = facts.read(found)
  print(
    f'training    {data.num_images} images, {found.train_file_pattern}\n'
    f'evaluation  {data.num_evaluated} images, {found.eval_file_pattern}\n'
    f'groundtruth {found.val_json_file or "the records"}\n'
    f'classes     {data.num_classes - 1}, {found.label_map_file or "no names"}',
    flush=True,
  )
  candidates = networks.candidates(FLAGS.checkpoint)
  if FLAGS.images_per_second:
    rate = speed.told(FLAGS.images_per_second, data.num_classes)
  else:
    print(
      'Measuring training steps, half a minute on a quiet machine; '
      '--images_per_second does without ...',
      flush=True,
    )
    rate = speed.measured(data, candidates, FLAGS.minutes)
  chosen, longer = (
    plan.choose(data, candidates, minutes, rate)
    for minutes in (FLAGS.minutes, 2 * FLAGS.minutes)
  )
  stem = os.path.splitext(os.path.basename(FLAGS.output))[0]
  model_dir = 'model' if stem == 'my' else stem + '_model'
  command = (
    'python main.py --mode=train_and_eval --report '
    f'--model_dir={shlex.quote(model_dir)} '
    f'--config_file={shlex.quote(FLAGS.output)}'
  )
  header = [
    f'The network of {chosen.network.preset.name}.yaml, classes: '
    f'{data.num_classes - 1}, images: {data.num_images}.',
    *('', f'  {command}', ''),
    f'For {FLAGS.minutes:g} minutes with start, evaluations and an export, at '
    f'{chosen.images_per_second:.1f} images',
    'a second (tools/new_config.py).',
  ]
  made, other = (choices.choose(data, p) for p in (chosen, longer))
  files.write_text(FLAGS.output, choices.text(made, header))
  _print_row('', 'chosen', 'with twice the time')
  _print_row('network of', *(p.network.preset.name for p in (chosen, longer)))
  for key in {**made, **other}:
    _print_row(key, *(c[key][0] if key in c else '' for c in (made, other)))
  for text in plan.shortcomings(data, chosen):
    print(text)
  print(f'{FLAGS.output} says why. Next:\n\n  {command}')


def _print_row(key: str, value: Any, other: Any) -> None:
  other = '' if value == other else other
  print(f'{key:42}{value!s:20}{other!s}'.rstrip())


if __name__ == '__main__':
  program.run(main, takes_arguments=True)
