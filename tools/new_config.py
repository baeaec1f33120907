"""Writes a config for one's own records and this machine.

  python tools/new_config.py records --minutes=60 --output=my.yaml

RECORDS is the folder that tools/create_tf_record.py wrote, or a pattern of the
training records. Splits, label map and annotations are found by their names;
flags name others. Each line of the config says why it is so.

A few training steps are measured here; for another machine
--images_per_second says how fast it trains configs/yaml/small_cpu.yaml with as
many classes.
"""

import os
import shlex
from typing import Any, List

from absl import flags

from utils import errors, files, program

FLAGS = flags.FLAGS

flags.DEFINE_float('minutes', 60.0, 'Of the training, all in all.', 0.1)
flags.DEFINE_string('output', None, 'YAML file to write.')
flags.DEFINE_float(
  'images_per_second',
  None,
  'Of small_cpu.yaml in training; by default steps are measured here.',
  0.001,
)
flags.DEFINE_string('checkpoint', '', 'Trained backbone to start from.')
flags.DEFINE_string('train_file_pattern', None, 'Records to train on.')
flags.DEFINE_string('eval_file_pattern', None, 'Records to evaluate with.')
flags.DEFINE_string('val_json_file', None, 'COCO json of the latter.')
flags.DEFINE_string('label_map_file', None, "Class names, lines 'id:name'.")
flags.mark_flag_as_required('output')

# Keys of the table; the file has all.
_SHOWN = (
  'retinanet_parser.output_size',
  'architecture.min_level',
  'architecture.max_level',
  'anchor.num_scales',
  'anchor.aspect_ratios',
  'anchor.anchor_size',
  'train.train_batch_size',
  'train.learning_rate.init_learning_rate',
  'train.total_steps',
  'eval.num_steps_per_eval',
)


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
  from tools.starter import config_text, record_sets
  from tools.starter import facts as facts_lib
  from tools.starter import planner as planner_lib

  given = {name: FLAGS[name].value for name in record_sets.GIVEN}
  sets = record_sets.find(argv[1], given)
  facts = facts_lib.read(sets)
  _print_found(sets, facts)
  planner = planner_lib.Planner(facts, sets, FLAGS.checkpoint)
  if FLAGS.images_per_second:
    speed = planner.speed(FLAGS.images_per_second)
  else:
    print('Measuring training steps ...', flush=True)
    speed = planner.measured_speed(FLAGS.minutes)
  plan = planner.plan(FLAGS.minutes, speed)
  command = (
    'python main.py --mode=train_and_eval --model_dir=model '
    f'--config_file={shlex.quote(FLAGS.output)}'
  )
  header = [
    f'The network of {plan.shape.network.preset.name}.yaml, classes: '
    f'{facts.num_classes - 1}, images: {facts.num_images}.',
    '',
    f'  {command}',
    '',
    f'For {FLAGS.minutes:g} minutes with start, evaluations and an export, at '
    f'{plan.shape.images_per_second:.1f} images',
    'a second (tools/new_config.py).',
  ]
  files.write_text(FLAGS.output, config_text.write(header, plan.choices))
  _print_chosen(plan, planner.plan(2 * FLAGS.minutes, speed))
  print(f'{FLAGS.output} says why. Next:\n\n  {command}')


def _print_found(sets: Any, facts: Any) -> None:
  annotations = sets.val_json_file or 'the records'
  print(
    f'training    {facts.num_images} images, {sets.train_file_pattern}\n'
    f'evaluation  {facts.num_evaluated} images, {sets.eval_file_pattern}\n'
    f'groundtruth {annotations}\n'
    f'classes     {facts.num_classes - 1}, '
    + (sets.label_map_file or 'without names (--label_map_file)')
    + (f'\nnot used    {", ".join(sets.unused)}' if sets.unused else ''),
    flush=True,
  )


def _print_chosen(plan: Any, longer: Any) -> None:
  """Prints what was chosen, and what twice the time would change."""
  import rich.console
  import rich.table

  table = rich.table.Table('', 'chosen', 'with twice the time')
  network, other = (p.shape.network.preset.name for p in (plan, longer))
  rows = [('network of', network, other)]
  for key in _SHOWN:
    rows.append((key, *(str(p.choices[key].value) for p in (plan, longer))))
  for key, value, other in rows:
    table.add_row(key, value, '' if value == other else other)
  rich.console.Console(soft_wrap=True).print(table)


if __name__ == '__main__':
  program.run(main, takes_arguments=True)
