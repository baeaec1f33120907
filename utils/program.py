"""What every command-line program does around its work.

Quiet start of TensorFlow, log lines for a person, and errors that explain
themselves instead of a traceback.
"""

import functools
import gc
import logging
import math
import os
import sys
import warnings
from typing import Callable, List, Optional

from absl import app, flags

from utils import errors, files, signals

FLAGS = flags.FLAGS

flags.DEFINE_bool(
  'debug', False, 'Show tracebacks and everything that TensorFlow logs.'
)


def set_up_logging(debug: bool = False) -> None:
  """Logs of this project to stderr, TensorFlow's own only when it matters."""
  if not debug:
    # Read when TensorFlow is first imported.
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    warnings.filterwarnings('ignore')
  handler = logging.StreamHandler(sys.stderr)
  handler.setFormatter(
    logging.Formatter('%(asctime)s %(levelname).1s %(message)s', '%H:%M:%S')
  )
  root = logging.getLogger()
  root.handlers = [handler]
  root.setLevel(logging.INFO)


def quieten_tensorflow() -> None:
  """Silences deprecations and retries inside TensorFlow 1.15.

  Not with `--debug`.
  """
  if FLAGS.debug:
    return
  # TensorFlow asks distutils for a version, and setuptools takes its place.
  hack = sys.modules.get('_distutils_hack')
  if hack is not None:
    hack.remove_shim()
  # Nothing that TensorFlow makes when it is imported is ever garbage.
  gc.disable()
  import tensorflow.compat.v1 as tf
  from tensorflow.python.util import deprecation, tf_stack

  gc.freeze()
  gc.enable()

  # Only a traceback tells where each operation was made.
  tf_stack.extract_stack = functools.partial(tf_stack.extract_stack, limit=1)
  deprecation._PRINT_DEPRECATION_WARNINGS = False
  # Estimators log each exception as an error before they raise it.
  tf.logging.set_verbosity(tf.logging.FATAL)
  logger = logging.getLogger('tensorflow')
  logger.propagate = False


def run(
  main: Callable[[List[str]], None],
  explain: Optional[Callable[[Exception], Optional[errors.UserError]]] = None,
  takes_arguments: bool = False,
) -> None:
  """Parses flags, runs `main` and ends the program.

  Args:
    main: takes the arguments that are not flags.
    explain: gives the message for an error of a library, or None.
    takes_arguments: whether there may be some that are not flags.
  """

  def guarded(argv: List[str]) -> None:
    set_up_logging(FLAGS.debug)
    # TensorFlow searches each new set of fetches for what XLA might compile,
    # asked to or not: seconds for a training graph.
    os.environ.setdefault('TF_XLA_FLAGS', '--tf_xla_clustering_fuel=0')
    try:
      if argv[1:] and not takes_arguments:
        raise errors.ConfigError(
          'Not a flag: {}. Flags are written --name=value.'.format(
            ' '.join(argv[1:])
          )
        )
      main(argv)
    except signals.Signalled as error:
      signals.end(str(error), error.exit_code)
    except errors.UserError as error:
      _end(error, error)
    except Exception as error:
      explained = explain(error) if explain else None
      if explained is None:
        raise
      _end(explained, error)

  signals.install()
  app.run(guarded, flags_parser=_parse_flags)


def _parse_flags(argv: List[str]) -> List[str]:
  try:
    for argument in argv:
      if not files.is_text(argument):
        raise flags.Error(f'{errors.shown(argument)} is no text in UTF-8.')
    arguments = FLAGS(argv)
    for name in FLAGS:
      value = FLAGS[name].value
      # Which no limit of a flag keeps out.
      if isinstance(value, float) and not math.isfinite(value):
        raise flags.Error(f'--{name}={value} is no number to work with.')
    # Of other flags the last counts, as scripts expect that add their own.
    if 'params_override' in FLAGS and FLAGS['params_override'].present > 1:
      raise flags.Error(
        '--params_override is given more than once, and only the last would '
        'count: write one, with commas.'
      )
    return arguments
  except flags.Error as error:
    message = ' '.join(line.strip() for line in str(error).splitlines())
    print(
      'Error: {} --help lists the flags.'.format(
        message if message.endswith(('.', '?')) else message + '.'
      ),
      file=sys.stderr,
    )
    sys.exit(errors.ConfigError.exit_code)


def _end(told: errors.UserError, error: Exception) -> None:
  if told.is_interrupt:
    signals.end(str(told), told.exit_code)
  if FLAGS.debug:
    logging.exception('Traceback of the error below:', exc_info=error)
  sys.stdout.flush()
  print(f'Error: {told}', file=sys.stderr)
  sys.exit(told.exit_code)
