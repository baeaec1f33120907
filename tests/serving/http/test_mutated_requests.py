"""Damaged requests, over a socket: answered, and the server lives on."""

import contextlib
import http.client
import json
import os
import socket
import zlib

import pytest
import requests
from hypothesis import strategies as st

from tests import mutations, record_factory
from tests.serving.http import serving_run

_PICTURES = [
  *serving_run.pictures(2),
  record_factory.encode(record_factory.pixels(30, 20)),
  record_factory.encode(record_factory.pixels(30, 20), 'GIF'),
  record_factory.encode(record_factory.pixels(30, 20), 'BMP'),
  record_factory.encode(record_factory.pixels(30, 20), 'TIFF'),
  record_factory.png_of_size(90, 90),
  b'',
]
_ENCODED = st.sampled_from(_PICTURES).flatmap(mutations.damaged)


@st.composite
def _instances(draw, input_type):
  if input_type == 'image_tensor':
    image = record_factory.pixels(64, 64).tolist()
    at = draw(st.integers(0, 63))
    if draw(st.booleans()):
      image[at][at] = draw(mutations.VALUES)
    if draw(st.booleans()):
      image[at] = draw(st.just(image[0][:3]) | mutations.VALUES)
    return image
  content = draw(_ENCODED)
  if input_type == 'tf_example':
    content = draw(
      mutations.damaged(record_factory.make_record(encoded=content))
    )
  text = serving_run.encoded(content)['b64']
  if draw(st.integers(0, 3)) == 0:
    text = draw(mutations.texts(text, 'AB/+='))
  return {'b64': text}


@st.composite
def _fields(draw, input_type):
  instances = draw(st.lists(_instances(input_type), min_size=1, max_size=3))
  fields = draw(
    st.sampled_from(
      [
        {'instances': instances},
        {'instances': [{'input': instance} for instance in instances]},
        {'inputs': instances},
        {'inputs': {'input': instances}},
        {'signature_name': 'serving_default', 'instances': instances},
      ]
    )
  )
  if draw(st.booleans()):
    fields = draw(mutations.documents(fields, most=1))
  return json.dumps(fields)


_METHODS = st.sampled_from(
  ['POST'] * 12 + ['GET', 'HEAD', 'PUT', 'OPTIONS', 'TRACE', 'FOO', 'pOST', '']
)
_PATHS = st.sampled_from(
  ['/v1/models/bytes:predict', '/detect'] * 5
  + ['/detect?masks=rle', '/detect?masks=%ff', '/detect?masks=none&masks=x']
  + ['/v1/models/bytes', '/v1/models/bytes/versions/1/metadata', '/', '*', '']
  + ['/v1/models/%00:predict', '/%d8%00', '//x', '/' + 'a' * 5000, 'http://[/']
  + ['/v1/models/bytes/versions/99999999999999999999:predict', '/../../etc']
)
_HEADERS = st.sampled_from(
  [
    ('Content-Encoding', 'gzip'),
    ('Content-Encoding', 'GZIP, gzip'),
    ('Content-Encoding', 'deflate'),
    ('Content-Encoding', ''),
    ('Content-Type', 'text/html; charset=utf-99'),
    ('Content-Type', 'multipart/form-data'),
    ('Content-Length', '0'),
    ('Content-Length', '-1'),
    ('Content-Length', '1e3'),
    ('Content-Length', '\xb2'),
    ('Content-Length', '9' * 30),
    ('Content-Length', '9' * 5000),
    ('Transfer-Encoding', 'chunked'),
    ('Transfer-Encoding', 'gzip'),
    ('Expect', '100-continue'),
    ('Expect', '\xff'),
    ('Connection', 'upgrade'),
    ('Upgrade', 'websocket'),
    ('Host', ''),
    ('Host', '[::1'),
    ('Accept', '\0'),
    ('X', 'a' * 70000),
    ('', 'x'),
    ('a b', 'x'),
    ('Cookie', '\xff\xfe'),
    ('Range', 'bytes=9-1'),
  ]
)


@st.composite
def _requests(draw, input_type='image_bytes'):
  """Bytes of a request, and whether nothing more can come."""
  body = draw(
    st.one_of(
      mutations.encoded(_fields(input_type)),
      mutations.encoded(_fields(input_type)),
      _ENCODED,
    )
  )
  headers = draw(st.lists(_HEADERS, max_size=2)) if draw(st.booleans()) else []
  if ('Content-Encoding', 'gzip') in headers and draw(st.booleans()):
    # Of gzip's own the header holds the time.
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(body) + packer.flush()
    body = draw(mutations.damaged(packed))
  names = [name for name, _ in headers]
  if 'Host' not in names:
    headers.append(('Host', 'x'))
  if 'Transfer-Encoding' in names:
    body = draw(mutations.damaged(b'%x\r\n%s\r\n0\r\n\r\n' % (len(body), body)))
  elif 'Content-Length' not in names:
    headers.append(('Content-Length', str(len(body))))
  version = draw(
    st.sampled_from(['HTTP/1.1'] * 8 + ['HTTP/1.0', 'HTTP/9', 'x'])
  )
  lines = [f'{draw(_METHODS)} {draw(_PATHS)} {version}']
  lines += [f'{name}: {value}' for name, value in headers]
  head = '\r\n'.join([*lines, '', '']).encode('latin-1')
  head = draw(st.sampled_from([head] * 9 + [head[:-2], b'\0' + head]))
  # What has other lengths than it says would be waited for.
  hangs_up = len(headers) > 2 or draw(st.sampled_from([False, False, True]))
  return head + body, hangs_up


def _send(server, request, hangs_up=True):
  """Returns status, headers and body; None without an answer."""
  with socket.create_connection(server.address(), timeout=20) as connection:
    try:
      connection.sendall(request)
      if hangs_up:
        connection.shutdown(socket.SHUT_WR)
    except OSError:
      pass  # What it has to say is there.
    response = http.client.HTTPResponse(
      connection, method=request.split(b' ')[0].decode('latin-1')
    )
    try:
      response.begin()
      return response.status, response.headers, response.read()
    except (http.client.HTTPException, OSError):
      return None


def _refuse(constant):
  raise AssertionError(constant + ' is no JSON')


def _check(server, request):
  log_size = os.path.getsize(server.log)
  answer = _send(server, *request)
  if answer:
    status, headers, body = answer
    assert status < 500, body
    if headers['content-type'] == 'application/json' and body:
      answer = json.loads(body.decode('utf-8'), parse_constant=_refuse)
      if status != 200:
        assert list(answer) == ['error'] and 10 < len(answer['error']) < 2000
    else:
      assert status == 200 or not body or b'Invalid HTTP' in body, body
  assert requests.get(server.url + '/healthz').status_code == 200
  with open(server.log) as source:
    source.seek(log_size)
    log = source.read()
  assert 'Traceback' not in log, log


@mutations.mutated(
  _requests(),
  [
    (b'POST /%s HTTP/1.1\r\nHost: x\r\n\r\n' % (b'a' * 5000), False),
    (b'FOO /detect HTTP/1.1\r\nHost: x\r\n\r\n', False),
    (
      b'POST /detect HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\n\r\n'
      % (b'9' * 5000),
      False,
    ),
    (b'POST /x HTTP/1.1\r\nHost: [::1\r\n\r\n', False),
    (
      b'POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n',
      False,
    ),
  ],
  quick=40,
  thorough=300,
)
def test_requests(request, server):
  _check(server, request)


@pytest.fixture(scope='module')
def other_servers(trained, tmp_path_factory):
  running = {}
  with contextlib.ExitStack() as stack:
    for input_type in ('tf_example', 'image_tensor'):
      directory = tmp_path_factory.mktemp(input_type)
      model = serving_run.export(
        directory / 'bytes',
        trained[0],
        input_type=input_type,
        batch_size=None,
        input_name='input',
      )
      running[input_type] = stack.enter_context(
        serving_run.serving(model, directory)
      )
    yield running


@mutations.mutated(
  st.sampled_from(['tf_example', 'image_tensor']).flatmap(
    lambda name: st.tuples(st.just(name), _requests(name))
  ),
  quick=0,
  thorough=300,
)
def test_requests_of_other_inputs(example, other_servers):
  input_type, request = example
  _check(other_servers[input_type], request)
