"""Exports a tiny model and serves it in a process of its own, for tests."""

import base64
import contextlib
import http.client
import os
import re
import socket
import subprocess
import sys
import time
from typing import NamedTuple
from urllib import parse

import requests
import tensorflow.compat.v1 as tf

import export_saved_model
from configs import params_dict
from modeling import factory
from tests import record_factory, tiny_run
from utils import mode_keys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(tiny_run.__file__)))
LABELS = {1: 'cell', 2: '<b>other</b>'}


def write_checkpoint(directory):
  """A checkpoint of random weights, whose scores are anything from 0 to 1."""
  labels = directory / 'labels.txt'
  labels.write_text(''.join('{}:{}\n'.format(*item) for item in LABELS.items()))
  params = tiny_run.resolve(
    directory,
    'none.tfrecord',
    {
      'eval': {'label_map_file': str(labels)},
      # Enough boxes are left of those that overlap.
      'postprocess': {'score_threshold': 0.001, 'max_total_size': 10},
    },
  )
  with tf.Graph().as_default(), tf.Session() as session:
    tf.set_random_seed(1)
    factory.model_generator(params).build_outputs(
      tf.zeros([1, 64, 64, 3]),
      {'image_info': tf.zeros([1, 4, 2])},
      mode_keys.PREDICT,
    )
    session.run(tf.global_variables_initializer())
    for variable in tf.global_variables():
      if 'class-predict' in variable.name and 'kernel' in variable.name:
        session.run(tf.assign(variable, 1e6 * variable))
    prefix = tf.train.Saver().save(
      session, str(directory / 'model.ckpt'), global_step=7
    )
  params_dict.save_params_dict_to_yaml(params, str(directory / 'params.yaml'))
  return prefix, params


def export(directory, checkpoint, **options):
  """Returns the path of a new export directory."""
  export_saved_model.export(
    str(directory), checkpoint, image_size=(64, 64), check=False, **options
  )
  return str(directory)


class Server(NamedTuple):
  """A running server.

  Attributes:
    process: Popen.
    url: without a slash at the end.
    log: path of its log.
  """

  process: subprocess.Popen
  url: str
  log: str

  def predict(self, images, name='bytes', **kwargs):
    """POSTs encoded images in row format; returns the response."""
    return requests.post(
      f'{self.url}/v1/models/{name}:predict',
      json={'instances': [encoded(image) for image in images]},
      timeout=60,
      **kwargs,
    )

  def connect(self):
    return http.client.HTTPConnection(*self.address(), timeout=30)

  def slow_body(self):
    """Sends a request whose body does not go on; returns the connection."""
    connection = self.connect()
    connection.putrequest('POST', '/v1/models/bytes:predict')
    connection.putheader('Content-Length', '100')
    connection.endheaders(b'{')
    return connection

  def is_closed(self):
    with socket.socket() as probe:
      return probe.connect_ex(self.address()) != 0

  def address(self):
    location = parse.urlsplit(self.url)
    return location.hostname, location.port


def encoded(image):
  return {'b64': base64.b64encode(image).decode('ascii')}


def pictures(count):
  """JPEGs of several sizes."""
  return [
    record_factory.encode(
      record_factory.pixels(40 + 7 * i, 60 - 3 * i, seed=i), 'JPEG', quality=95
    )
    for i in range(count)
  ]


@contextlib.contextmanager
def serving(model_dir, directory, *flags, root=_ROOT):
  """Starts tools/serve.py at a free port, and kills it in the end."""
  log = os.path.join(str(directory), 'serve.log')
  with open(log, 'w') as target:
    process = subprocess.Popen(
      [sys.executable, 'tools/serve.py', model_dir, '--port=0', *flags],
      cwd=root,
      env=dict(os.environ, PYTHONPATH=root),
      stdout=target,
      stderr=target,
    )
  try:
    yield Server(process, _await_url(process, log), log)
  finally:
    process.kill()
    process.wait()


def wait_until(condition):
  deadline = time.monotonic() + 30
  while not condition():
    assert time.monotonic() < deadline
    time.sleep(0.05)


def _await_url(process, log):
  deadline = time.time() + 120
  while process.poll() is None and time.time() < deadline:
    with open(log) as source:
      found = re.search(r'(http://[\d.]+:\d+)/', source.read())
    if found:
      _await_answer(found.group(1), deadline)
      return found.group(1)
    time.sleep(0.1)
  with open(log) as source:
    raise AssertionError('The server did not start: ' + source.read())


def _await_answer(url, deadline):
  while True:
    try:
      assert requests.get(url + '/healthz', timeout=10).status_code == 200
      return
    except requests.ConnectionError:
      assert time.time() < deadline
      time.sleep(0.05)
