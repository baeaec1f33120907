"""Starts several workers of a training on this machine.

  python tools/launch_local.py -n 2 -- python main.py --mode=train ...

For trying out what runs on many machines later: each worker is a process with
its own TF_CONFIG, and its lines begin with its number. When one fails, the
others are stopped. Ctrl-C lets all save a checkpoint; a second one kills them.
With --evaluator one more process evaluates checkpoints as they appear.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any, Dict, List, Optional

from absl import flags

from executor.multi_worker import cluster
from utils import errors, program

FLAGS = flags.FLAGS
flags.DEFINE_integer('num_workers', 2, 'Number of workers.', 1, short_name='n')
flags.DEFINE_bool('evaluator', False, 'One more process that evaluates.')
flags.DEFINE_integer(
  'cores', None, 'CPU cores of each worker; by default they share all.', 1
)

# Seconds after a failure until the others are told to stop, and are killed.
_STOP_AFTER = 5.0
_KILL_AFTER = 60.0
_INTERVAL = 0.2


def free_addresses(count: int) -> List[str]:
  """Returns host:port of free ports of this machine."""
  with contextlib.ExitStack() as stack:
    # All are held until each has one of its own.
    held = [stack.enter_context(socket.socket()) for _ in range(count)]
    for one in held:
      one.bind(('127.0.0.1', 0))
    return ['{}:{}'.format(*one.getsockname()) for one in held]


def tasks(num_workers: int, has_evaluator: bool) -> Dict[str, Dict[str, Any]]:
  """Returns TF_CONFIG by the name of the process."""
  jobs = {cluster.WORKER: free_addresses(num_workers)}
  if has_evaluator:
    jobs[cluster.EVALUATOR] = free_addresses(1)
  return {
    f'{job} {index}': {
      'cluster': jobs,
      'task': {'type': job, 'index': index},
    }
    for job, addresses in jobs.items()
    for index in range(len(addresses))
  }


class _Process:
  """A process whose lines get a prefix."""

  def __init__(
    self, command: List[str], name: str, config: Any, cores: List[int]
  ):
    self.name = name
    self._signals: List[int] = []
    self._process = subprocess.Popen(
      command,
      env={**os.environ, cluster.VARIABLE: json.dumps(config)},
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      # Ctrl-C reaches this program, which passes it on.
      start_new_session=True,
    )
    self._copier = threading.Thread(target=self._copy, daemon=True)
    self._copier.start()
    if cores:
      os.sched_setaffinity(self._process.pid, cores)

  def _copy(self) -> None:
    prefix = f'[{self.name}] '.encode('utf-8')
    for line in self._process.stdout:
      sys.stdout.buffer.write(prefix + line)
      sys.stdout.buffer.flush()

  def exit_code(self) -> Optional[int]:
    """Returns None while it runs, and what a shell would see afterwards."""
    code = self._process.poll()
    return code if code is None or code >= 0 else 128 - code

  def send_once(self, signal_number: int) -> None:
    """The same signal again would not let it save."""
    if signal_number not in self._signals:
      self._signals.append(signal_number)
      self._process.send_signal(signal_number)

  def kill(self, reason: str) -> None:
    """Ends it, if it runs, and says why."""
    if self._process.poll() is None:
      print(f'{self.name} is killed: {reason}.', file=sys.stderr)
      self._process.kill()

  def finish(self) -> None:
    self._process.wait()
    self._copier.join()


def launch(
  command: List[str],
  num_workers: int,
  has_evaluator: bool = False,
  cores: Optional[int] = None,
) -> int:
  """Runs the workers to their end.

  Args:
    command: of each worker.
    num_workers: at least 1.
    has_evaluator: whether there is an evaluator, too.
    cores: CPU cores of each process; None: they share all.

  Returns:
    0, or the exit code of the first process that failed.

  Raises:
    ConfigError: there are not so many cores, or there is no such program.
  """
  configs = tasks(num_workers, has_evaluator)
  available = sorted(os.sched_getaffinity(0))
  if cores and cores * len(configs) > len(available):
    raise errors.ConfigError(
      f'--cores={cores}: {len(configs)} processes would need '
      f'{cores * len(configs)} cores; there are {len(available)}.'
    )
  if shutil.which(command[0]) is None:
    raise errors.ConfigError(f"'{command[0]}' is no program.")
  processes: List[_Process] = []
  # The first is passed on, the second kills.
  signals: List[int] = []
  previous = {
    number: signal.signal(number, lambda number, frame: signals.append(number))
    for number in (signal.SIGINT, signal.SIGTERM)
  }
  try:
    for i, (name, config) in enumerate(configs.items()):
      own = available[i * cores : (i + 1) * cores] if cores else available
      processes.append(_Process(command, name, config, own))
    return _wait(processes, signals)
  finally:
    for process in processes:
      process.kill('this program ends')
      process.finish()
    for number, handler in previous.items():
      signal.signal(number, handler)


def _wait(processes: List[_Process], signals: List[int]) -> int:
  """Waits for all; once one has failed, the others have to follow.

  Returns:
    The exit code of the first that failed, or 0.
  """
  failed = 0
  failure_time = 0.0
  while True:
    codes = {process: process.exit_code() for process in processes}
    for process, code in codes.items():
      if code and not failed:
        failed = code
        failure_time = time.monotonic()
        print(
          f'{process.name} ended with exit code {code}.',
          file=sys.stderr,
        )
    running = [p for p, code in codes.items() if code is None]
    if not running:
      return failed
    seconds = time.monotonic() - failure_time
    for process in running:
      if len(signals) > 1:
        process.kill('a second signal came')
      elif signals:
        # They save, however long that takes.
        process.send_once(signals[0])
      elif failed and seconds > _KILL_AFTER:
        process.kill(f'it runs {_KILL_AFTER:.0f} s after the failure')
      elif failed and seconds > _STOP_AFTER:
        process.send_once(signal.SIGTERM)
    time.sleep(_INTERVAL)


def main(argv: List[str]) -> None:
  command = argv[1:]
  if not command:
    raise errors.ConfigError(
      'No command: python tools/launch_local.py -n 2 -- python main.py ...'
    )
  sys.exit(launch(command, FLAGS.num_workers, FLAGS.evaluator, FLAGS.cores))


if __name__ == '__main__':
  program.run(main, takes_arguments=True)
