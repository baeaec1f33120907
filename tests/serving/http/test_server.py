"""The server as a process: answers, load and its end."""

import concurrent.futures
import gzip
import json
import signal
import time

import numpy as np
import pytest
import requests
from PIL import Image

from serving.predictors import checkpoint
from tests import record_factory
from tests.serving.http import serving_run


def _assert_same(prediction, expected):
  assert prediction['num_detections'] == expected['num_detections']
  assert prediction['detection_classes'] == expected['detection_classes']
  for key in ('detection_boxes', 'detection_scores', 'image_info'):
    np.testing.assert_allclose(prediction[key], expected[key], atol=1e-3)


def test_predictions_are_those_of_the_checkpoint(trained, server):
  images = [record_factory.pixels(40 + 9 * i, 60, seed=i) for i in range(3)]
  # Lossless: two decoders of JPEG differ by a little.
  encoded = [record_factory.encode(image) for image in images]
  expected = checkpoint.CheckpointPredictor(*trained).predict(images)
  response = server.predict(encoded)
  assert response.status_code == 200
  assert response.headers['content-type'] == 'application/json'
  predictions = response.json()['predictions']
  assert len(predictions) == 3
  for prediction, detections in zip(predictions, expected):
    count = prediction['num_detections']
    assert count == len(detections.scores) > 3
    assert prediction['detection_classes'][:count] == list(detections.classes)
    np.testing.assert_allclose(
      prediction['detection_scores'][:count], detections.scores, atol=1e-3
    )
    scale = np.tile(prediction['image_info'][2], 2)
    np.testing.assert_allclose(
      prediction['detection_boxes'][:count] / scale, detections.boxes, atol=0.05
    )


def test_all_forms_of_a_request_get_the_same(server):
  images = serving_run.pictures(2)
  rows = server.predict(images).json()['predictions']
  url = server.url + '/v1/models/bytes/versions/1:predict'
  values = [serving_run.encoded(image) for image in images]
  body = {'signature_name': 'serving_default', 'inputs': {'input': values}}
  columns = requests.post(
    url,
    data=gzip.compress(json.dumps(body).encode('ascii')),
    headers={'Content-Encoding': 'GZip'},
  ).json()['outputs']
  assert set(columns) == set(rows[0])
  for i, row in enumerate(rows):
    _assert_same({key: columns[key][i] for key in columns}, row)


def test_status_and_metadata(server):
  for version in ('', '/versions/1'):
    url = server.url + '/v1/models/bytes' + version
    assert requests.get(url).json() == {
      'model_version_status': [
        {
          'version': '1',
          'state': 'AVAILABLE',
          'status': {'error_code': 'OK', 'error_message': ''},
        }
      ]
    }
    metadata = requests.get(url + '/metadata').json()
    assert metadata['model_spec'] == {
      'name': 'bytes',
      'signature_name': '',
      'version': '1',
    }
    signature = metadata['metadata']['signature_def']['signature_def']
    assert list(signature) == ['serving_default']
    signature = signature['serving_default']
    assert signature['method_name'] == 'tensorflow/serving/predict'
    assert signature['inputs'] == {
      'input': {
        'dtype': 'DT_STRING',
        'tensor_shape': {
          'dim': [{'size': '-1', 'name': ''}],
          'unknown_rank': False,
        },
        'name': 'Placeholder:0',
      }
    }
    boxes = signature['outputs']['detection_boxes']
    assert boxes['name'] == 'DetectionBoxes:0'
    assert [d['size'] for d in boxes['tensor_shape']['dim']] == [
      '-1',
      '10',
      '4',
    ]


@pytest.mark.parametrize(
  'method, path, status, message',
  [
    ('GET', '/v1/models/other', 404, "There is 'bytes', version 1"),
    ('POST', '/v1/models/other:predict', 404, 'other'),
    ('POST', '/v1/models/bytes/versions/2:predict', 404, 'version 1'),
    ('GET', '/v1/models/bytes/versions/2/metadata', 404, 'version 1'),
    ('GET', '/v1/models/bytes:predict', 400, 'Malformed request: GET'),
    ('POST', '/v1/models/bytes:classify', 400, 'Malformed request: POST'),
    ('GET', '/v1/models', 400, 'Malformed request'),
    ('GET', '/nosuch', 404, 'nothing for GET /nosuch'),
    ('POST', '/', 404, 'nothing for POST /'),
    ('POST', '/v1/models/bytes:predict', 400, 'not JSON'),
    ('POST', '/detect', 400, 'not an image'),
  ],
)
def test_errors_are_json(server, method, path, status, message):
  response = requests.request(method, server.url + path, data=b'x')
  assert response.status_code == status
  assert list(response.json()) == ['error']
  assert message in response.json()['error']


def test_detections_of_a_picture(server):
  encoded = serving_run.pictures(1)[0]
  expected = server.predict([encoded]).json()['predictions'][0]
  answer = requests.post(server.url + '/detect', data=encoded).json()
  assert (answer['width'], answer['height']) == (60, 40)
  found = answer['detections']
  # Those of the model reach into the padding; these end with the picture.
  count = int(expected['num_detections'])
  boxes = np.array(expected['detection_boxes'][:count])
  boxes /= np.tile(expected['image_info'][2], 2)
  boxes = np.clip(boxes, 0, [40, 60, 40, 60])
  kept = np.flatnonzero(np.all(boxes[:, 2:] > boxes[:, :2], axis=1))
  assert len(found) == len(kept) > 0
  for i, detection in zip(kept, found):
    assert detection['class'] == expected['detection_classes'][i]
    assert detection['name'] == serving_run.LABELS[detection['class']]
    assert detection['score'] == pytest.approx(
      expected['detection_scores'][i], abs=1e-3
    )
    np.testing.assert_allclose(detection['box'], boxes[i], atol=0.05)
    assert detection['box'] == [round(edge, 2) for edge in detection['box']]
    assert detection['score'] == round(detection['score'], 4)


def test_a_rotated_picture_is_detected_upright(server):
  image = record_factory.pixels(30, 50)
  exif = Image.Exif()
  exif[0x0112] = 6
  encoded = record_factory.encode(image, 'JPEG', exif=exif.tobytes())
  answer = requests.post(server.url + '/detect', data=encoded).json()
  assert (answer['width'], answer['height']) == (30, 50)


def test_under_load_every_answer_is_right(server):
  images = serving_run.pictures(5)
  expected = [server.predict([i]).json()['predictions'][0] for i in images]

  def client(number):
    with requests.Session() as session:
      for i in range(20):
        chosen = [(number + i) % 5, (number * 3 + i) % 5][: 1 + i % 2]
        response = session.post(
          server.url + '/v1/models/bytes:predict',
          json={'instances': [serving_run.encoded(images[c]) for c in chosen]},
          timeout=60,
        )
        assert response.status_code == 200, response.text
        predictions = response.json()['predictions']
        assert len(predictions) == len(chosen)
        for prediction, c in zip(predictions, chosen):
          _assert_same(prediction, expected[c])
    return True

  with concurrent.futures.ThreadPoolExecutor(8) as pool:
    assert all(pool.map(client, range(8)))


def test_bad_images_spoil_nothing_under_load(server):
  good = serving_run.pictures(1)[0]
  expected = server.predict([good]).json()['predictions'][0]
  # Its header is fine, so that the model itself fails.
  truncated = good[: len(good) * 2 // 3]

  def client(number):
    response = server.predict([truncated] if number % 2 else [good])
    if number % 2:
      assert response.status_code == 400
      assert 'Invalid JPEG data' in response.json()['error']
    else:
      _assert_same(response.json()['predictions'][0], expected)
    return True

  with concurrent.futures.ThreadPoolExecutor(8) as pool:
    assert all(pool.map(client, range(32)))
  response = server.predict([good, truncated])
  assert response.status_code == 400


def test_both_ways_say_the_same_of_a_bad_picture(server):
  url = server.url + '/detect'
  good = serving_run.pictures(1)[0]
  for picture in (b'', b'GIF89a', good[:200], good[:-300], b'<svg/>'):
    posted = requests.post(url, data=picture)
    statuses = server.predict([picture]).status_code, posted.status_code
    assert statuses == (400, 400), picture[:20]
    assert list(posted.json()) == ['error']
  form = requests.post(url, files={'file': good})
  assert form.status_code == 400


def test_a_signal_ends_it_when_the_work_is_done(bytes_model, tmp_path):
  with serving_run.serving(
    bytes_model, tmp_path, '--max_delay_ms=1500', '--model_name=x.y'
  ) as running:
    connection = running.connect()
    body = {'instances': [serving_run.encoded(serving_run.pictures(1)[0])]}
    connection.request('POST', '/v1/models/x.y:predict', json.dumps(body))
    time.sleep(0.5)
    running.process.send_signal(signal.SIGTERM)
    serving_run.wait_until(running.is_closed)
    response = connection.getresponse()
    assert response.status == 200
    assert json.loads(response.read().decode())['predictions']
    assert running.process.wait(timeout=30) == 0
    with open(running.log) as source:
      lines = source.read().splitlines()
  assert lines[-1].endswith('Stopped.')
  assert not any('Traceback' in line for line in lines)


@pytest.mark.slow
def test_a_signal_ends_it_whatever_does_not_arrive(bytes_model, tmp_path):
  with serving_run.serving(bytes_model, tmp_path) as running:
    slow = running.slow_body()
    time.sleep(0.5)
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(timeout=15) == 0
    slow.close()
