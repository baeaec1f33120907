"""Addresses where no TPU answers are given up, with a reason."""

import contextlib
import socket
import time

import pytest
import tensorflow.compat.v1 as tf

from executor.tpu import tpu_address
from utils import errors


@contextlib.contextmanager
def _silent_listener():
  """Takes connections and never says a word."""
  with socket.socket() as listener:
    listener.bind(('127.0.0.1', 0))
    listener.listen(8)
    yield f'grpc://127.0.0.1:{listener.getsockname()[1]}'


def test_address_where_nobody_listens_is_waited_for_aloud(caplog):
  with caplog.at_level('INFO'), pytest.raises(OSError, match='nothing answer'):
    # Nobody listens at port 1.
    tpu_address.wait_until_reachable('grpc://127.0.0.1:1', 0.05, 0.02)
  assert 'Waiting for the TPU at grpc://127.0.0.1:1' in caplog.text


def test_listener_that_never_replies_is_given_up():
  begin = time.monotonic()
  with _silent_listener() as address:
    tpu_address.wait_until_reachable(address, 1.0)
    with pytest.raises(OSError, match='no TensorFlow server answered') as info:
      tpu_address.reset_session(address, timeout=1.0)
  assert address in str(info.value)
  assert time.monotonic() - begin < 20


def test_address_without_a_port_is_explained():
  resolver = tf.distribute.cluster_resolver.TPUClusterResolver('grpc://host')
  with pytest.raises(errors.UserError, match='grpc://host:port') as info:
    tpu_address.connect(resolver)
  assert '--tpu' in str(info.value)
  assert '--use_tpu=False' in str(info.value)


def test_variables_of_an_earlier_program_are_cleared():
  server = tf.train.Server.create_local_server()
  with tf.Graph().as_default():
    variable = tf.get_variable('left_over', [], tf.float32, use_resource=True)
    exists = tf.is_variable_initialized(variable)
    with tf.Session(server.target) as session:
      session.run(variable.initializer)
      assert session.run(exists)
    with tf.Session(server.target) as session:
      assert session.run(exists)
    tpu_address.reset_session(server.target)
    with tf.Session(server.target) as session:
      assert not session.run(exists)
