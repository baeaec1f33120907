"""Fair timing: jobs in turn, or each in a process of its own."""

import json
import os
import subprocess
import sys
import time
from typing import Any, Callable, Dict, Hashable, List

import numpy as np

Seconds = Dict[Hashable, List[float]]


def in_turn(jobs: Dict[Hashable, Callable[[], Any]], rounds: int) -> Seconds:
  """Runs all jobs one after the other, again and again.

  A busy minute of the machine then hits them all; compare what stands at the
  same place of the lists. A first round warms up and does not count.

  Args:
    jobs: what to run, by name.
    rounds: how often each counts.

  Returns:
    Seconds of each round, by name.
  """
  seconds: Seconds = {name: [] for name in jobs}
  for number in range(rounds + 1):
    for name, job in jobs.items():
      start = time.perf_counter()
      job()
      if number:
        seconds[name].append(time.perf_counter() - start)
  return seconds


def median_ratio(seconds: Seconds, name: Hashable, other: Hashable) -> float:
  """Median of the ratios of two jobs, round by round."""
  return float(np.median(np.divide(seconds[name], seconds[other])))


def in_own_process(
  tool: str, *arguments: str, **environment: str
) -> Dict[str, float]:
  """Runs a tool of this folder; returns the JSON that its last line is."""
  # Warnings of TensorFlow 1.15 about numpy would hide the figures.
  output = subprocess.run(
    [
      sys.executable,
      '-W',
      'ignore',
      os.path.join(os.path.dirname(os.path.abspath(__file__)), tool),
      *arguments,
    ],
    check=True,
    stdout=subprocess.PIPE,
    universal_newlines=True,
    env=dict(os.environ, **environment),
  ).stdout
  return json.loads(output.splitlines()[-1])
