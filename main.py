"""Trains and evaluates detection models.

  python main.py --mode=train --model_dir=DIR --config_file=FILE
  python main.py --mode=print_config --config_file=FILE
  python main.py --mode=tpu_preflight --config_file=FILE
  python main.py --list

Parameters come from the model's defaults, then `--config_file`, then
`--params_override`, then the flags below.
"""

import sys

from absl import flags

from configs import run_flags
from utils import program

MODES = (
  'train',
  'eval',
  'train_and_eval',
  'print_config',
  'tpu_preflight',
  'list_models',
)

FLAGS = flags.FLAGS

# So that --help shows them, too.
flags.adopt_module_key_flags(run_flags)

flags.DEFINE_string('mode', 'train', 'One of {}.'.format(', '.join(MODES)))
flags.DEFINE_bool('list', False, 'The same as --mode=list_models.')
flags.DEFINE_string(
  'model', None, "Model (--list); by default the config's `type`."
)
flags.DEFINE_string('model_dir', None, "Directory for the run's files.")
flags.DEFINE_string('config_file', None, 'YAML or JSON file of parameters.')
flags.DEFINE_string(
  'params_override',
  None,
  'Parameters as YAML or JSON text, as a.b=1,c=2, or the path of a file.',
)
flags.DEFINE_bool(
  'eval_after_training', False, 'Evaluate once when --mode=train is done.'
)
flags.DEFINE_bool(
  'report', False, 'Write eval*/report.html with pictures, too.'
)
flags.DEFINE_bool(
  'preflight', True, 'Check the config against a TPU before it trains there.'
)
flags.DEFINE_float(
  'core_memory_gb', 16.0, 'For the preflight: 8 of a v2 core, 16 of a v3.', 0.1
)
flags.DEFINE_bool('check_data', True, 'Look at the first records of the sets.')
flags.DEFINE_string('profile_steps', None, 'A,B: traces these steps.')


def main(argv):
  del argv
  # Imported here: TensorFlow reads its environment when it is imported, and
  # --mode=print_config does without it.
  from configs import resolver
  from utils import errors

  if FLAGS.mode not in MODES:
    raise errors.ConfigError(
      '--mode={} is unknown; known are {}.{}'.format(
        FLAGS.mode, ', '.join(MODES), errors.did_you_mean(FLAGS.mode, MODES)
      )
    )
  if FLAGS.list or FLAGS.mode == 'list_models':
    program.quieten_tensorflow()
    from executor import listing

    listing.print_choices()
    return
  given = run_flags.given()
  if FLAGS.mode == 'tpu_preflight':
    given['use_tpu'] = True
  resolved = resolver.resolve(
    model=FLAGS.model,
    config_file=FLAGS.config_file,
    params_override=FLAGS.params_override,
    flags=given,
    mode=FLAGS.mode,
  )
  if FLAGS.mode == 'print_config':
    print(resolver.to_yaml_with_sources(resolved), end='')
    return

  program.quieten_tensorflow()
  is_preflight = FLAGS.mode == 'tpu_preflight'
  trains_on_tpu = resolved.params.use_tpu and 'train' in FLAGS.mode
  if is_preflight or (trains_on_tpu and FLAGS.preflight):
    from executor.tpu.preflight import preflight

    preflight.run(
      resolved.params,
      FLAGS.core_memory_gb,
      trains=trains_on_tpu,
      evaluates=FLAGS.mode != 'train' or FLAGS.eval_after_training,
    )
  if is_preflight:
    return
  from executor import runner as runner_lib

  trains = FLAGS.mode != 'eval'
  runner = runner_lib.Runner(
    resolved.params,
    trains,
    FLAGS.profile_steps,
    FLAGS.report,
    FLAGS.check_data,
  )
  if FLAGS.mode == 'train':
    runner.train(FLAGS.eval_after_training)
  elif FLAGS.mode == 'eval':
    runner.evaluate()
  else:
    runner.train_and_eval()


def _explain(error):
  # Without it nothing has imported TensorFlow, which is what raises.
  if 'tensorflow' not in sys.modules:
    return None
  from executor import failures

  return failures.explain(error)


if __name__ == '__main__':
  program.run(main, _explain)
