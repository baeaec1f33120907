"""Examples of many requests in one batch."""

import threading
import time

import pytest
import tensorflow.compat.v1 as tf

from serving.http import batching

_LONG = 60.0


class _Model:
  """Doubles numbers; negative ones are bad."""

  def __init__(self):
    self.batches = []
    self.started = threading.Event()
    self.may_go = threading.Event()
    self.may_go.set()

  def run(self, examples):
    self.batches.append(list(examples))
    self.started.set()
    assert self.may_go.wait(30)
    if min(examples) < 0:
      raise tf.errors.InvalidArgumentError(None, None, 'negative')
    if max(examples) > 99:
      raise RuntimeError('too much')
    return [2 * example for example in examples]


def _results(jobs):
  return [job.result(timeout=30) for job in jobs]


def test_a_full_batch_does_not_wait():
  model = _Model()
  batcher = batching.Batcher(model.run, 3, _LONG)
  jobs = [batcher.submit(i) for i in range(6)]
  assert _results(jobs) == [0, 2, 4, 6, 8, 10]
  assert model.batches == [[0, 1, 2], [3, 4, 5]]
  batcher.close()


def test_a_part_of_a_batch_waits_for_the_delay_only():
  model = _Model()
  batcher = batching.Batcher(model.run, 3, 0.3)
  start = time.monotonic()
  jobs = [batcher.submit(1), batcher.submit(2)]
  assert _results(jobs) == [2, 4]
  assert 0.3 <= time.monotonic() - start < 10
  assert model.batches == [[1, 2]]
  batcher.close()


def test_closing_runs_what_waits():
  model = _Model()
  batcher = batching.Batcher(model.run, 3, _LONG)
  job = batcher.submit(1)
  batcher.close()
  assert job.result(timeout=0) == 2
  with pytest.raises(RuntimeError):
    batcher.submit(1)


def test_what_is_cancelled_is_not_run():
  model = _Model()
  model.may_go.clear()
  batcher = batching.Batcher(model.run, 2, 0.0)
  running = batcher.submit(0)
  assert model.started.wait(30)
  waiting = [batcher.submit(i) for i in (1, 2, 3)]
  assert waiting[1].cancel()
  assert not running.cancel()
  model.may_go.set()
  assert _results([running, waiting[0], waiting[2]]) == [0, 2, 6]
  assert model.batches == [[0], [1, 3]]
  batcher.close()


def test_a_bad_example_fails_alone():
  model = _Model()
  batcher = batching.Batcher(model.run, 3, _LONG)
  jobs = [batcher.submit(i) for i in (1, -1, 3)]
  assert _results([jobs[0], jobs[2]]) == [2, 6]
  with pytest.raises(tf.errors.InvalidArgumentError, match='negative'):
    jobs[1].result(timeout=30)
  assert model.batches == [[1, -1, 3], [1], [-1], [3]]
  batcher.close()


def test_another_error_reaches_all_and_the_next_batch_runs():
  model = _Model()
  batcher = batching.Batcher(model.run, 2, _LONG)
  for job in [batcher.submit(1), batcher.submit(100)]:
    with pytest.raises(RuntimeError, match='too much'):
      job.result(timeout=30)
  assert model.batches == [[1, 100]]
  assert _results([batcher.submit(1), batcher.submit(2)]) == [2, 4]
  batcher.close()
