"""What the server refuses: large and slow requests, and too many."""

import gzip
import json
import socket
import time
from urllib import parse

import psutil
import pytest
import requests

from tests import record_factory
from tests.serving.http import serving_run


@pytest.fixture(scope='module')
def patient(bytes_model, tmp_path_factory):
  """A server whose first image waits 6 s for seven others; 3 places."""
  with serving_run.serving(
    bytes_model,
    tmp_path_factory.mktemp('patient'),
    '--max_delay_ms=6000',
    '--max_queue=3',
  ) as running:
    yield running


def test_json_packed_a_thousand_fold_takes_no_memory(server):
  status = psutil.Process(server.process.pid)
  before = status.memory_info().rss
  body = gzip.compress(b'{"instances":[' + b'{},' * 340000 + b'{}]}')
  assert len(body) < 10**4
  for _ in range(3):
    response = requests.post(
      server.url + '/v1/models/bytes:predict',
      data=body,
      headers={'Content-Encoding': 'gzip'},
    )
    assert response.status_code == 413
    assert 'bytes of memory' in response.json()['error']
  # Once built, 80 MB each.
  assert status.memory_info().rss - before < 30 * 2**20


@pytest.mark.parametrize('path', ['/v1/models/bytes:predict', '/detect'])
def test_a_decompression_bomb_is_refused(server, path):
  bomb = record_factory.png_of_size(50000, 50000)
  if path == '/detect':
    response = requests.post(server.url + path, data=bomb)
  else:
    response = server.predict([bomb])
  assert response.status_code == 400
  assert '50000 x 50000 pixels' in response.json()['error']
  assert 'more than 10,000' in response.json()['error']
  # The client knows no flags.
  assert '--' not in response.json()['error']


def _chunks():
  for _ in range(3):
    yield b'x' * 2**20


@pytest.mark.parametrize(
  'data, headers',
  [
    (b'x' * (2**20 + 1), {}),
    # As clients do that do not keep connections.
    (b'x' * 5 * 2**20, {'Connection': 'close'}),
    (_chunks(), {}),
    (gzip.compress(b'x' * (2**20 + 1)), {'Content-Encoding': 'gzip'}),
  ],
  ids=['length', 'close', 'chunked', 'gzip'],
)
def test_a_large_body_is_refused(server, data, headers):
  response = requests.post(
    server.url + '/v1/models/bytes:predict', data=data, headers=headers
  )
  assert response.status_code == 413
  assert 'at most 1,048,576 bytes' in response.json()['error']


@pytest.mark.parametrize(
  'data, encoding, status, message',
  [
    (b'{}', 'gzip', 400, 'is not gzip'),
    (gzip.compress(b'{}')[:-9], 'gzip', 400, 'cut off'),
    (b'{}', 'br', 415, 'br is not read'),
  ],
  # Compressed bytes hold the time, which may not be part of a test's name.
  ids=['text', 'cut', 'br'],
)
def test_a_body_that_cannot_be_unpacked(
  server, data, encoding, status, message
):
  response = requests.post(
    server.url + '/v1/models/bytes:predict',
    data=data,
    headers={'Content-Encoding': encoding},
  )
  assert response.status_code == status
  assert message in response.json()['error']


def _send(server, count=1):
  """Sends a request of `count` images; returns the connection."""
  connection = server.connect()
  images = serving_run.pictures(count)
  connection.request(
    'POST',
    '/v1/models/bytes:predict',
    json.dumps({'instances': [serving_run.encoded(i) for i in images]}),
  )
  return connection


def test_a_slow_body_is_refused(server):
  response = server.slow_body().getresponse()
  assert response.status == 408
  assert 'within 1 seconds' in json.loads(response.read().decode())['error']


@pytest.mark.parametrize(
  'first', [b'', b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n']
)
def test_slow_headers_are_closed(server, first):
  location = parse.urlsplit(server.url)
  with socket.create_connection(
    (location.hostname, location.port), timeout=30
  ) as connection:
    connection.sendall(first)
    while first and b'"model"' not in connection.recv(4096):
      pass
    start = time.monotonic()
    with pytest.raises(OSError):
      # One byte at a time, for ever.
      while time.monotonic() < start + 20:
        connection.sendall(b'G' if time.monotonic() < start + 0.05 else b'x')
        connection.settimeout(0.2)
        try:
          if not connection.recv(4096):
            raise ConnectionResetError
        except socket.timeout:
          pass
    assert 0.5 < time.monotonic() - start < 10


def test_a_full_queue_refuses_and_a_hang_up_frees_places(patient):
  slow = [patient.slow_body() for _ in range(4)]
  start = time.monotonic()
  waiting, leaving = _send(patient), _send(patient, 2)
  # Until both have arrived.
  time.sleep(1)
  refused = patient.predict(serving_run.pictures(1))
  assert refused.status_code == 503
  assert refused.headers['Retry-After'] == '1'
  assert '3 of 3 places' in refused.json()['error']
  leaving.close()
  time.sleep(0.5)
  late = _send(patient, 2)
  # Not the end of the delay, but the hang-up made place.
  assert time.monotonic() - start < 6
  for connection, count in ((waiting, 1), (late, 2)):
    response = connection.getresponse()
    assert response.status == 200
    predictions = json.loads(response.read().decode())['predictions']
    assert len(predictions) == count

  def statuses():
    with open(patient.log) as source:
      lines = source.read().splitlines()
    return [line.split()[-3] for line in lines if ':predict' in line]

  # A line is written after the answer.
  serving_run.wait_until(lambda: len(statuses()) == 4)
  assert statuses() == ['503', '499', '200', '200']
  for connection in slow:
    connection.close()


def test_more_images_than_places_are_refused(patient):
  response = patient.predict(serving_run.pictures(4))
  assert response.status_code == 400
  assert (
    'holds 4 images; the server takes at most 3' in response.json()['error']
  )
