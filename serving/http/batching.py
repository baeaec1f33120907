"""Batches of requests that arrive together."""

import collections
import threading
import time
from concurrent import futures
from typing import Any, Callable, Deque, List, NamedTuple, Sequence

import tensorflow.compat.v1 as tf


class _Job(NamedTuple):
  example: Any
  future: futures.Future
  arrival: float


class Batcher:
  """Collects examples from many requests; one thread runs them.

  A batch starts when it is full, or when its first example has waited for
  `max_delay`. While one batch runs, the next one collects.

  Args:
    run: takes a list of 1 to `max_batch_size` examples and returns the
      results in order. InvalidArgumentError says that one of them is bad:
      they are then run one by one, so that it fails alone.
    max_batch_size: examples of a batch.
    max_delay: seconds.
  """

  def __init__(
    self,
    run: Callable[[Sequence[Any]], Sequence[Any]],
    max_batch_size: int,
    max_delay: float,
  ):
    self._run = run
    self._max_batch_size = max_batch_size
    self._max_delay = max_delay
    self._waiting: Deque[_Job] = collections.deque()
    self._changed = threading.Condition()
    self._is_closed = False
    self._thread = threading.Thread(target=self._work, daemon=True)
    self._thread.start()

  def submit(self, example: Any) -> futures.Future:
    """Queues one example.

    Returns:
      Its result to be. Once cancelled, it takes no part in any batch, unless
      its batch is running already.
    """
    job = _Job(example, futures.Future(), time.monotonic())
    with self._changed:
      if self._is_closed:
        raise RuntimeError('The batcher is closed.')
      self._waiting.append(job)
      self._changed.notify()
    job.future.add_done_callback(self._drop_if_cancelled)
    return job.future

  def close(self) -> None:
    """Runs what waits, then ends the thread."""
    with self._changed:
      self._is_closed = True
      self._changed.notify()
    self._thread.join()

  def _work(self) -> None:
    while True:
      jobs = self._collect()
      if not jobs:
        return
      # From here on they cannot be cancelled.
      jobs = [job for job in jobs if job.future.set_running_or_notify_cancel()]
      if jobs:
        self._execute(jobs)

  def _collect(self) -> List[_Job]:
    """Waits for a batch; returns none once closed and empty."""
    with self._changed:
      while True:
        if not self._waiting:
          if self._is_closed:
            return []
          self._changed.wait()
          continue
        due = self._waiting[0].arrival + self._max_delay
        patience = due - time.monotonic()
        is_full = len(self._waiting) >= self._max_batch_size
        if is_full or self._is_closed or patience <= 0:
          count = min(len(self._waiting), self._max_batch_size)
          return [self._waiting.popleft() for _ in range(count)]
        self._changed.wait(patience)

  def _drop_if_cancelled(self, future: futures.Future) -> None:
    # At once: what waits holds memory.
    if future.cancelled():
      with self._changed:
        self._waiting = collections.deque(
          job for job in self._waiting if job.future is not future
        )

  def _execute(self, jobs: List[_Job]) -> None:
    try:
      results = self._run([job.example for job in jobs])
    except tf.errors.InvalidArgumentError as error:
      if len(jobs) == 1:
        jobs[0].future.set_exception(error)
        return
      for job in jobs:
        self._execute([job])
    except Exception as error:
      for job in jobs:
        job.future.set_exception(error)
    else:
      for job, result in zip(jobs, results):
        job.future.set_result(result)
