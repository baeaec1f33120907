"""Measurements that take turns, each here or in a process of its own."""

import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any, Callable, Dict, Hashable, Iterable, List, Sequence

from configs import resolver

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))

Figures = Dict[str, float]
Job = Callable[[], Figures]


class Results(Dict[Hashable, List[Figures]]):
  """Figures of each round, by job."""

  def values(self, job: Hashable, figure: str = 'seconds') -> List[float]:
    return [figures[figure] for figures in self[job]]

  def median(self, job: Hashable, figure: str = 'seconds') -> float:
    return statistics.median(self.values(job, figure))

  def ratio(
    self, job: Hashable, other: Hashable, figure: str = 'seconds'
  ) -> float:
    """Median ratio of neighbours in time: a busy minute hits both."""
    pairs = zip(self.values(job, figure), self.values(other, figure))
    return statistics.median(own / reference for own, reference in pairs)


def measure(
  jobs: Dict[Hashable, Job], rounds: int, warm_up: int = 0
) -> Results:
  """Runs all jobs one after the other, again and again.

  Args:
    jobs: what to run, by name.
    rounds: how often each counts.
    warm_up: rounds before that do not.
  """
  results = Results({name: [] for name in jobs})
  for number in range(-warm_up, rounds):
    for name, job in jobs.items():
      figures = job()
      if number >= 0:
        results[name].append(figures)
  return results


def timed(call: Callable[[], Any]) -> Job:
  """A job that takes the time of a call."""

  def job() -> Figures:
    start = time.perf_counter()
    call()
    return {'seconds': time.perf_counter() - start}

  return job


def in_own_process(module: str, *arguments: Any, **environment: str) -> Job:
  """A job that calls `work` of a module of this folder."""
  command = benchmark_command('--worker=' + json.dumps([module, arguments]))

  def job() -> Figures:
    output = subprocess.run(
      command,
      check=True,
      stdout=subprocess.PIPE,
      env=dict(os.environ, **environment),
    ).stdout
    return json.loads(output.splitlines()[-1])

  return job


def benchmark_command(*arguments: str) -> List[str]:
  # Warnings of TensorFlow 1.15 about numpy would hide the figures.
  program = os.path.join(ROOT, 'tools', 'benchmark.py')
  return [sys.executable, '-W', 'ignore', program, *arguments]


def override(size: int, depth: int = 50, **blocks: Any) -> Dict[str, Any]:
  """Parameters of the default model for images of `size` x `size` pixels."""
  parser = resolver.resolve().params.architecture.parser
  return {
    parser: {'output_size': [size, size], **blocks.pop('parser', {})},
    'resnet': {'resnet_depth': depth},
    **blocks,
  }


def print_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
  """Prints rows of a name and numbers, each as soon as it is there."""
  for name, *cells in itertools.chain([header], rows):
    print(
      f'{name:28}',
      *(
        '{:>13}'.format(f'{cell:.2f}' if isinstance(cell, float) else cell)
        for cell in cells
      ),
      flush=True,
    )
