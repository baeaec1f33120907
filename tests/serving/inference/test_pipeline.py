"""Reading ahead, batches, and images that fail."""

import threading

import numpy as np
import pytest

from dataloader import image_reader
from serving.inference import pipeline, sources
from serving.predictors import predictor as predictor_lib
from tests.serving.inference import results
from utils import errors


def _item(value, side=10, on_decode=None):
  def decode():
    if on_decode:
      on_decode()
    if value is None:
      raise errors.DataError('broken')
    return image_reader.Picture(np.full([side, side, 3], value, np.uint8))

  return sources.Item(
    f'image {value}', lambda: image_reader.Opened(side * side, decode)
  )


def _run(items, batch_size=3, **kwargs):
  detector = results.Brightness()
  found, failures = [], []
  pipeline.run(
    items, detector, batch_size, found.append, failures.append, **kwargs
  )
  return detector.batches, found, failures


def test_order_and_batches():
  batches, found, failures = _run([_item(value) for value in range(20, 31)])
  assert batches == [3, 3, 3, 2]
  assert [result.name for result in found] == [
    f'image {value}' for value in range(20, 31)
  ]
  for value, result in enumerate(found, start=20):
    np.testing.assert_allclose(result.detections.scores, [value / 255])
  assert not failures


def test_boxes_end_with_their_picture():
  class Wide(results.Brightness):
    """Of a model that clips to the square that it fits images into."""

    def _predict(self, image):
      return predictor_lib.ImageDetections(
        np.float32([[1, 2, 20, 30], [0, 12, 5, 30], [3, 4, 5, 6]]),
        np.int32([1, 2, 3]),
        np.float32([0.9, 0.8, 0.7]),
      )

  found = []
  pipeline.run([_item(1)], Wide(), 3, found.append, pytest.fail)
  boxes, classes, scores = found[0].detections[:3]
  np.testing.assert_array_equal(boxes, [[1, 2, 10, 10], [3, 4, 5, 6]])
  np.testing.assert_array_equal(classes, [1, 3])
  np.testing.assert_array_equal(scores, np.float32([0.9, 0.7]))


def test_no_image():
  assert _run([]) == ([], [], [])


def test_failures_do_not_stop_the_rest():
  items = [
    _item(None),
    _item(50),
    _item(13),
    sources.failing_item('absent', 'gone'),
    _item(60),
  ]
  batches, found, failures = _run(items)
  assert batches == [3]
  assert [result.name for result in found] == ['image 50', 'image 60']
  assert [failure.name for failure in failures] == [
    'image None',
    'absent',
    'image 13',
  ]
  assert failures[0].reason == 'broken' and failures[1].reason == 'gone'
  assert 'not finite' in failures[2].reason


def test_memory_is_bounded(monkeypatch):
  # Two images of 10 x 10 pixels fit, and one of any size by itself.
  monkeypatch.setattr(pipeline, '_MAX_PIXELS_HELD', 250)
  held, most = 0, 0
  lock = threading.Lock()

  def on_decode():
    nonlocal held, most
    with lock:
      held += 1
      most = max(most, held)

  class Counting(results.Brightness):
    def predict(self, images):
      nonlocal held
      found = super().predict(images)
      with lock:
        held -= len(images)
      return found

  detector, found = Counting(), []
  items = [_item(20, on_decode=on_decode) for _ in range(5)]
  items.append(_item(30, side=40, on_decode=on_decode))
  items += [_item(None, side=40), _item(40, on_decode=on_decode)]
  pipeline.run(items, detector, 4, found.append, lambda failure: None)
  assert len(found) == 7
  assert most <= 2
  assert detector.batches == [2, 2, 1, 1, 1]


def test_reads_ahead_while_the_model_works():
  decoded = threading.Semaphore(0)

  class Waiting(results.Brightness):
    def predict(self, images):
      # Two of its own and two that are ahead; two more; they were the last.
      for _ in range([4, 2, 0][len(self.batches)]):
        assert decoded.acquire(timeout=10)
      return super().predict(images)

  detector, found = Waiting(), []
  items = [_item(value, on_decode=decoded.release) for value in range(20, 26)]
  pipeline.run(items, detector, 2, found.append, None)
  assert detector.batches == [2, 2, 2]


def test_stops_when_asked_to():
  answers = iter([False, True])
  batches, found, _ = _run([_item(20)] * 9, should_stop=lambda: next(answers))
  assert batches == [3] and len(found) == 3
