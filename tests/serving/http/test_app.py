"""The application without a network: what happens when clients hang up."""

import asyncio
import json
import threading
import types

import numpy as np
import pytest
from pycocotools import mask as mask_lib

from serving.http import app as app_lib
from serving.http import request_limits, served_model
from serving.predictors import predictor
from tests.serving.http import serving_run
from tests.serving.inference import results

_NOTHING = predictor.ImageDetections(
  np.zeros([0, 4], np.float32), np.zeros([0], np.int32), np.zeros([0])
)


class _Model:
  """Detects nothing, once it may; remembers what it was shown."""

  label_map = None
  batch_size = None
  contract = types.SimpleNamespace(batch_size=None)
  run = None

  def __init__(self):
    self.predictor = self
    self.widths = []
    self.may_go_on = threading.Event()
    self.may_go_on.set()

  def predict(self, images):
    self.widths.append([image.shape[1] for image in images])
    assert self.may_go_on.wait(60)
    return [_NOTHING] * len(images)


class _Client:
  """Sends one picture to `/detect`; hangs up on request."""

  def __init__(self, app, picture, query=b''):
    self._body = [{'type': 'http.request', 'body': picture}]
    self._sent = []
    self._leaves = asyncio.Event()
    scope = {
      'type': 'http',
      'method': 'POST',
      'path': '/detect',
      'query_string': query,
      'headers': [],
    }
    self._task = asyncio.ensure_future(
      app.asgi(scope, self._receive, self._send)
    )

  async def _receive(self):
    if self._body:
      return self._body.pop()
    await self._leaves.wait()
    return {'type': 'http.disconnect'}

  async def _send(self, message):
    self._sent.append(message)

  async def hang_up(self):
    self._leaves.set()
    await self._task

  async def answer(self):
    await asyncio.wait_for(self._task, 60)
    return self._sent[0]['status'], json.loads(self._sent[1]['body'].decode())


@pytest.fixture
def model():
  return _Model()


@pytest.fixture
def make_app(model):
  apps = []

  def make(**limits):
    location = served_model.Location('', 'model', 1)
    apps.append(
      app_lib.DetectionApp(location, model, request_limits.Limits(**limits))
    )
    return apps[-1]

  yield make
  model.may_go_on.set()
  for app in apps:
    app.close()


async def _until(condition):
  for _ in range(600):
    if condition():
      return
    await asyncio.sleep(0.05)
  raise AssertionError('It does not happen.')


def test_a_picture_whose_client_is_gone_takes_part_in_no_batch(model, make_app):
  app = make_app(max_batch_size=2, max_delay=20.0)
  first, second, third = serving_run.pictures(3)

  async def run():
    leaving = _Client(app, first)
    await _until(lambda: app._detect_batcher._waiting)
    await leaving.hang_up()
    assert app._slots.taken == 0
    clients = [_Client(app, picture) for picture in (second, third)]
    return [await client.answer() for client in clients]

  answers = asyncio.get_event_loop().run_until_complete(run())
  assert [(status, answer['width']) for status, answer in answers] == [
    (200, 57),
    (200, 54),
  ]
  # Two made a batch, neither of which is the first one.
  assert [sorted(widths) for widths in model.widths] == [[54, 57]]


def test_a_picture_that_waits_to_be_decoded_is_dropped_too(model, make_app):
  app = make_app(max_batch_size=1, max_delay=0.0)
  first, second, third = serving_run.pictures(3)
  model.may_go_on.clear()

  async def run():
    working = _Client(app, first)
    await _until(lambda: model.widths)
    leaving, staying = _Client(app, second), _Client(app, third)
    await _until(lambda: app._slots.taken == 3)
    await leaving.hang_up()
    assert app._slots.taken == 2
    model.may_go_on.set()
    return [await client.answer() for client in (working, staying)]

  answers = asyncio.get_event_loop().run_until_complete(run())
  assert [(status, answer['width']) for status, answer in answers] == [
    (200, 60),
    (200, 54),
  ]
  assert model.widths == [[60], [54]]


def test_an_unknown_form_of_masks_is_refused(make_app):
  async def run(app):
    client = _Client(app, serving_run.pictures(1)[0], b'masks=rles')
    return await client.answer()

  answer = asyncio.get_event_loop().run_until_complete(run(make_app()))
  assert answer == (
    400,
    {'error': 'masks=rles is unknown; known are polygon, rle, none.'},
  )


def test_masks_in_each_form():
  result = results.masked_result()

  def found(form):
    answer = app_lib.picture_json(result.pixels, result.detections, {}, form)
    return [found.get('mask') for found in answer['detections']]

  assert found('none') == [None, None]
  left, whole = found('polygon')
  edges = np.reshape(left[0], [-1, 2])
  np.testing.assert_allclose(edges.min(axis=0), [3, 2], atol=1)
  np.testing.assert_allclose(edges.max(axis=0), [22, 30], atol=1)
  assert len(whole) == 1
  areas = mask_lib.area(found('rle'))
  np.testing.assert_allclose(areas, [18.5 * 28, 30 * 10], rtol=0.3)


def test_boxes_end_with_the_picture():
  detections = predictor.ImageDetections(
    np.float32([[1, 25, 9, 30], [2, 3, 50, 30.5]]),
    np.int32([1, 2]),
    np.float32([0.9, 0.4]),
  )
  image = np.zeros([40, 20, 3], np.uint8)
  (found,) = app_lib.picture_json(image, detections, {2: 'cat'})['detections']
  assert found['box'] == [2, 3, 40, 20]
  assert (found['name'], found['score']) == ('cat', 0.4)
