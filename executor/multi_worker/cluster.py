"""Workers of a training, from the environment variable TF_CONFIG."""

import contextlib
import json
import os
from typing import Any, Iterator, List, Mapping, NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf

from utils import errors

VARIABLE = 'TF_CONFIG'
WORKER = 'worker'
EVALUATOR = 'evaluator'
# The first worker may have a job of its own, under either name.
_CHIEF_JOBS = ('chief', 'master')
_EXAMPLE = (
  '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, '
  '"task": {"type": "worker", "index": 0}}'
)


class Cluster(NamedTuple):
  """The processes of a training, and which of them this one is.

  Attributes:
    workers: host:port of each; the first one is the chief, which writes
      checkpoints and summaries.
    has_evaluator: whether a process evaluates the checkpoints.
    task: 'worker' or 'evaluator': what this process does.
    index: of this process among the workers; 0 for an evaluator.
  """

  workers: Tuple[str, ...]
  has_evaluator: bool
  task: str
  index: int

  @property
  def num_workers(self) -> int:
    return len(self.workers)

  @property
  def is_worker(self) -> bool:
    return self.task == WORKER

  @property
  def is_chief(self) -> bool:
    return self.is_worker and self.index == 0

  @property
  def spec(self) -> tf.train.ClusterSpec:
    return tf.train.ClusterSpec({WORKER: list(self.workers)})

  def name(self, index: int) -> str:
    """Returns what messages call a worker."""
    return f'worker {index} ({self.workers[index]})'


def from_environment(environment: Mapping[str, str]) -> Optional[Cluster]:
  """Reads TF_CONFIG.

  Args:
    environment: `os.environ`.

  Returns:
    The cluster; None where one process does everything.

  Raises:
    ConfigError: TF_CONFIG is wrong or asks for what there is not.
  """
  text = environment.get(VARIABLE, '').strip()
  if not text:
    return None
  try:
    config = json.loads(text)
  except ValueError as error:
    raise _wrong(f'is no JSON: {error}') from error
  jobs = config.get('cluster') if isinstance(config, dict) else None
  if not jobs:
    return None
  if not isinstance(jobs, dict):
    raise _wrong("'cluster' has to map jobs to lists of host:port")
  unknown = set(jobs) - {WORKER, EVALUATOR, *_CHIEF_JOBS}
  if unknown:
    raise _wrong(
      f'has the job {min(unknown)!r}; known are chief, worker and evaluator. '
      'Training is synchronous and has no parameter servers'
    )
  chiefs = [job for job in _CHIEF_JOBS if jobs.get(job)]
  if len(chiefs) > 1 or any(len(jobs[job]) != 1 for job in chiefs):
    raise _wrong('has more than one chief')
  workers = [
    address for job in (*chiefs, WORKER) for address in _addresses(jobs, job)
  ]
  if len(set(workers)) != len(workers):
    raise _wrong('lists an address twice: {}'.format(', '.join(workers)))
  task, index = _task(config, jobs, chiefs)
  if not workers:
    raise _wrong('has no worker')
  has_evaluator = bool(jobs.get(EVALUATOR)) or task == EVALUATOR
  if len(workers) == 1 and not has_evaluator:
    return None
  return Cluster(tuple(workers), has_evaluator, task, index)


@contextlib.contextmanager
def hidden_environment() -> Iterator[None]:
  """Hides TF_CONFIG from estimators, which would read it their own way."""
  value = os.environ.pop(VARIABLE, None)
  try:
    yield
  finally:
    if value is not None:
      os.environ[VARIABLE] = value


def _addresses(jobs: Mapping[str, Any], job: str) -> List[str]:
  addresses = jobs.get(job, [])
  if not isinstance(addresses, list):
    raise _wrong(f"'cluster.{job}' has to be a list of host:port")
  for address in addresses:
    host, _, port = str(address).rpartition(':')
    if not host or not port.isdigit():
      raise _wrong(f"'cluster.{job}' has {address!r}")
  return addresses


def _task(
  config: Mapping[str, Any], jobs: Mapping[str, Any], chiefs: List[str]
) -> Tuple[str, int]:
  """What this process does, and its index among all workers."""
  task = config.get('task')
  if not isinstance(task, dict):
    raise _wrong("has no 'task'")
  job, index = task.get('type'), task.get('index', 0)
  if job == EVALUATOR:
    return EVALUATOR, 0
  addresses = jobs.get(job) if isinstance(job, str) else None
  if not addresses:
    raise _wrong(
      "'task.type' is {!r}; there are {}".format(job, ', '.join(sorted(jobs)))
    )
  if not isinstance(index, int) or not 0 <= index < len(addresses):
    raise _wrong(
      f"'task.index' is {index!r}; the job {job!r} has 0 to "
      f'{len(addresses) - 1}'
    )
  is_after_chief = job == WORKER and bool(chiefs)
  return WORKER, index + is_after_chief


def _wrong(what: str) -> errors.ConfigError:
  return errors.ConfigError(
    f'{VARIABLE} {what}. It looks like {_EXAMPLE}; unset it to train in one '
    'process.'
  )
