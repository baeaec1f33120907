"""The check of a graph in a second process, on a second processor."""

import contextlib
import multiprocessing
import signal
import warnings
from typing import Any, Callable, Iterator

from configs import params_dict


@contextlib.contextmanager
def check_beside(params: Any, mode: str) -> Iterator[Callable[[], Any]]:
  """Starts the check, and ends its process with the block.

  Args:
    params: the whole config, with `use_tpu`.
    mode: of the graph, see `tpu_graph.MODES`.

  Yields:
    What waits for the `graph_checks.GraphReport` and returns it; RuntimeError
    if the process ended before, which has said why.
  """
  # Not at the top, where the new process would import it before it is quiet.
  import tensorflow.compat.v1 as tf

  # A fork would inherit the locks of TensorFlow's threads.
  context = multiprocessing.get_context('spawn')
  ours, theirs = context.Pipe(duplex=False)
  process = context.Process(
    target=_check,
    args=(params.as_dict(), mode, tf.logging.get_verbosity(), theirs),
    daemon=True,
  )
  process.start()
  theirs.close()

  def report() -> Any:
    try:
      return ours.recv()
    except EOFError:
      process.join()
      raise RuntimeError(
        'The process that checks a graph beside this one ended with exit code '
        f'{process.exitcode}.'
      ) from None

  try:
    yield report
  finally:
    process.terminate()
    process.join()


def _check(values: dict, mode: str, verbosity: int, out: Any) -> None:
  # Ctrl-C is the parent's, which ends this process.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  # Those of TensorFlow's import, which the parent has shown if it shows any.
  warnings.simplefilter('ignore')
  import tensorflow.compat.v1 as tf

  tf.logging.set_verbosity(verbosity)
  from executor.tpu.preflight import graph_checks

  out.send(graph_checks.check(params_dict.ParamsDict(values), mode)[0])
