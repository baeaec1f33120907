"""Checks a graph in a process of its own, beside this one.

Building the graph of a large network takes Python a minute, and Python runs
on one processor.
"""

import multiprocessing
import signal
import warnings
from multiprocessing import connection as connections
from typing import Any, Dict

from configs import params_dict


class CheckBeside:
  """Starts the check; `with` ends the process with the block.

  Args:
    params: the whole config, with `use_tpu`.
    mode: of the graph, see `tpu_graph.MODES`.
  """

  def __init__(self, params: Any, mode: str):
    # Not at the top, where the new process would import it before it is quiet.
    import tensorflow.compat.v1 as tf

    # A fork would inherit the locks of TensorFlow's threads.
    context = multiprocessing.get_context('spawn')
    self._connection, theirs = context.Pipe(duplex=False)
    self._process = context.Process(
      target=_check,
      args=(params.as_dict(), mode, tf.logging.get_verbosity(), theirs),
      daemon=True,
    )
    self._process.start()
    theirs.close()

  def __enter__(self) -> 'CheckBeside':
    return self

  def __exit__(self, *unused_exception: Any) -> None:
    self._process.terminate()
    self._process.join()

  def report(self) -> Any:
    """Waits for the check; returns its `graph_checks.GraphReport`.

    Raises:
      RuntimeError: the process ended before, which has said why.
    """
    try:
      return self._connection.recv()
    except EOFError:
      self._process.join()
      raise RuntimeError(
        'The process that checks a graph beside this one ended with exit code '
        '{}.'.format(self._process.exitcode)
      ) from None


def _check(
  values: Dict[str, Any],
  mode: str,
  verbosity: int,
  out: connections.Connection,
) -> None:
  # Ctrl-C is the parent's, which ends this process.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  # Those of TensorFlow's import, which the parent has shown if it shows any.
  warnings.simplefilter('ignore')
  import tensorflow.compat.v1 as tf

  tf.logging.set_verbosity(verbosity)
  from executor.tpu.preflight import graph_checks

  params = params_dict.ParamsDict(values)
  out.send(graph_checks.check(params, mode)[0])
