"""Expected time of a training step on 8 to 1024 cores, from measured inputs.

  python tools/scaling.py
  python tools/scaling.py --figure=scaling.png --inputs=my_inputs.json
  python tools/scaling.py --measure --file_pattern='data/train-*.tfrecord' \
    --machine='4 cores of an AMD EPYC' --inputs=my_inputs.json

prints the tables of docs/scaling.md. With --measure the presets that the file
names are measured here first, and the file holds the outcome: size of the
network, bytes that cross to the device, processor time of the input pipeline
(minutes; other programs should rest). Figures of devices and assumptions stand
in the same file, each with its source, and are changed there.
"""

import json
import sys

from absl import flags

from utils import errors, files, program

FLAGS = flags.FLAGS
flags.DEFINE_string(
  'inputs', 'docs/scaling_inputs.json', 'JSON file of what is known.'
)
flags.DEFINE_string('figure', '', 'Also draw the efficiency: .png, .svg, .pdf.')
flags.DEFINE_bool('measure', False, 'Measure the networks of the file anew.')
flags.DEFINE_string('file_pattern', '', 'Glob of TFRecords, for --measure.')
flags.DEFINE_string('machine', '', 'What this machine is, for --measure.')
flags.DEFINE_integer('images', 160, 'Images of one measurement.', 1)
flags.DEFINE_integer('rounds', 5, 'Measurements; the best counts.', 1)


def _measure() -> None:
  """Replaces what was measured in the file."""
  for flag in ('file_pattern', 'machine'):
    if not FLAGS[flag].value:
      raise errors.ConfigError('--measure needs --{}=...'.format(flag))
  from tools.scaling_model import inputs, measurements

  program.quieten_tensorflow()
  inputs.read(FLAGS.inputs)
  content = inputs.read_json(FLAGS.inputs)
  for name, network in content['networks'].items():
    network.update(
      measurements.measure_network(
        network['preset'],
        FLAGS.file_pattern,
        num_images=FLAGS.images,
        rounds=FLAGS.rounds,
      )
    )
    print('measured {}'.format(name), file=sys.stderr, flush=True)
  content['machine'] = FLAGS.machine
  files.write_text(FLAGS.inputs, json.dumps(content, indent=2) + '\n')


def main(argv) -> None:
  del argv
  from tools.scaling_model import figure, inputs, tables

  if FLAGS.measure:
    _measure()
  given = inputs.read(FLAGS.inputs)
  if FLAGS.figure:
    figure.draw(given, FLAGS.figure)
  print(tables.render(given), end='')


if __name__ == '__main__':
  program.run(main)
