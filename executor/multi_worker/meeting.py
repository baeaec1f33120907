"""Meeting of the workers before a training, and their link during it.

The chief listens at its address of the cluster until all have come, then
TensorFlow's server takes the port over. The connections stay open: a process
that ends, however it does, closes its own, so that nobody waits for it in
vain.
"""

import contextlib
import json
import logging
import os
import select
import selectors
import socket
import sys
import threading
import time
from typing import Any, Dict, List, NoReturn, Optional, Sequence

from executor.multi_worker import cluster as cluster_lib
from executor.multi_worker import directory_mark
from utils import errors

_log = logging.getLogger(__name__)

# Seconds until one that has not come counts as missing, and between lines.
_PATIENCE = 900.0
_LINE_INTERVAL = 15.0
_RETRY_INTERVAL = 0.2
# Seconds of silence until a machine that vanished is noticed.
_KEEP_ALIVE = (
  (socket.TCP_KEEPIDLE, 10),
  (socket.TCP_KEEPINTVL, 5),
  (socket.TCP_KEEPCNT, 3),
)
_HELLO_PATIENCE = 5.0
_MAX_DIFFERENCES = 5
# Where a worker finds things.
_OWN_KEYS = ('model_dir', 'tpu_job_name')
_OWN_BLOCKS = ('platform.',)
_HELLO = 'tpu-detection worker'
_MARK = 'mark in model_dir'
_FAILED = 1
_LOCAL = ('127.0.0.1', 'localhost')


def report(params: Any, num_devices: int, step: int) -> Dict[str, Any]:
  """What a worker says of itself; all have to agree.

  Args:
    params: the whole config.
    num_devices: replicas of this worker.
    step: of the latest checkpoint in model_dir; 0 without one.
  """
  values = {
    key: value
    for key, value in params.leaves()
    if key not in _OWN_KEYS and not key.startswith(_OWN_BLOCKS)
  }
  values.update({'number of devices': num_devices, 'step in model_dir': step})
  # As they come out of a message.
  return json.loads(json.dumps(values, default=str))


class _Peer:
  """A connection that carries JSON lines."""

  def __init__(self, connection: socket.socket, index: Optional[int] = None):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEP_ALIVE:
      connection.setsockopt(socket.IPPROTO_TCP, option, value)
    self.socket = connection
    self.index = index
    self.is_done = False
    self._lines = connection.makefile('r', encoding='utf-8')

  def send(self, **message: Any) -> None:
    """Sends a message; one who is gone will be noticed when receiving."""
    with contextlib.suppress(OSError):
      self.socket.sendall((json.dumps(message) + '\n').encode('utf-8'))

  def has_message(self, seconds: float) -> bool:
    """Waits so long for a first message, or for the end of the other one."""
    return bool(select.select([self.socket], [], [], seconds)[0])

  def receive(self) -> Optional[Dict[str, Any]]:
    """Waits for a message; None when the other one is gone."""
    try:
      line = self._lines.readline()
      message = json.loads(line) if line.endswith('\n') else None
    except (OSError, ValueError):
      return None
    return message if isinstance(message, dict) else None

  def close(self) -> None:
    self._lines.close()
    self.socket.close()


class Meeting:
  """A training's workers, all of whom have come with the same config.

  As a context it ends this process with a message as soon as one of the others
  fails, and waits for the others at the end; an error inside is told to them.

  Args:
    cluster: this process is a worker of it.
    report: of this worker, see `report`.
    model_dir: has to be the same directory for all.
    patience: seconds until one that has not come counts as missing.

  Raises:
    ConfigError: workers do not agree.
    UserError: one did not come, or the chief's address cannot be had.
  """

  def __init__(
    self,
    cluster: cluster_lib.Cluster,
    report: Dict[str, Any],
    model_dir: str,
    patience: float = _PATIENCE,
  ):
    self._cluster = cluster
    self._model_dir = model_dir
    self._end_of_patience = time.monotonic() + patience
    self._is_ending = threading.Event()
    self._all_done = threading.Event()
    if cluster.is_chief:
      self._peers = self._receive(report)
    else:
      self._peers = [self._join(report)]

  def __enter__(self) -> 'Meeting':
    self._watcher = threading.Thread(target=self._watch, daemon=True)
    self._watcher.start()
    return self

  def __exit__(self, error_type, error, traceback) -> None:
    if error is not None:
      # The others end when they hear of it, and are not to blame.
      self._is_ending.set()
      # Those who wait for this one's gradients would wait forever.
      for peer in self._peers:
        peer.send(failed=self._cluster.index, reason=str(error))
      return
    if not self._cluster.is_chief:
      self._peers[0].send(done=True)
    self._all_done.wait()
    self._is_ending.set()
    if self._cluster.is_chief:
      for peer in self._peers:
        peer.send(done=True)

  def _receive(self, report: Dict[str, Any]) -> List[_Peer]:
    """The chief's part: waits for all, compares, and answers."""
    peers: Dict[int, _Peer] = {}
    try:
      with directory_mark.left_in(self._model_dir) as mark:
        reports = {0: {**report, _MARK: mark}}
        with self._listen() as listener:
          self._await_all(listener, peers, reports)
      problem = _disagreement(self._cluster, reports)
      if problem:
        raise errors.ConfigError(problem)
    except errors.UserError as error:
      for peer in peers.values():
        peer.send(problem=str(error))
        peer.close()
      raise
    for peer in peers.values():
      peer.send(problem=None)
    return list(peers.values())

  def _await_all(
    self,
    listener: socket.socket,
    peers: Dict[int, _Peer],
    reports: Dict[int, Dict[str, Any]],
  ) -> None:
    """Adds all other workers and what they report."""
    line_time = time.monotonic()
    others = range(1, self._cluster.num_workers)
    while len(peers) < len(others):
      missing = [index for index in others if index not in peers]
      line_time = self._be_patient(line_time, self._names(missing))
      try:
        connection, _ = listener.accept()
      except socket.timeout:
        continue
      # Others than workers may knock, too, and say nothing.
      connection.settimeout(_HELLO_PATIENCE)
      peer = _Peer(connection)
      message = peer.receive() or {}
      connection.settimeout(None)
      index = message.get('index')
      if message.get('hello') != _HELLO or index not in others:
        peer.close()
        continue
      if index in peers:
        # It was started anew while the others were on their way.
        peers[index].close()
      peer.index = index
      peers[index] = peer
      reports[index] = message['report']

  def _listen(self) -> socket.socket:
    host, port = _host_and_port(self._cluster.workers[0])
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
      # Elsewhere the name may belong to another address of this machine.
      listener.bind((host if host in _LOCAL else '', port))
    except OSError as error:
      listener.close()
      raise errors.UserError(
        f'{cluster_lib.VARIABLE}: the chief cannot listen at '
        f'{self._cluster.workers[0]}: {error.strerror}. Another program may '
        'have the port; give one that is free.'
      ) from error
    listener.listen(self._cluster.num_workers)
    listener.settimeout(_RETRY_INTERVAL)
    return listener

  def _join(self, report: Dict[str, Any]) -> _Peer:
    """A worker's part: finds the chief and hears whether all agree."""
    line_time = time.monotonic()
    chief = self._names([0])
    while True:
      line_time = self._be_patient(line_time, chief)
      try:
        connection = socket.create_connection(
          _host_and_port(self._cluster.workers[0]), timeout=_LINE_INTERVAL
        )
        connection.settimeout(None)
      except OSError:
        time.sleep(_RETRY_INTERVAL)
        continue
      peer = _Peer(connection, 0)
      # Now there is one.
      report = {**report, _MARK: directory_mark.find(self._model_dir)}
      peer.send(hello=_HELLO, index=self._cluster.index, report=report)
      # It answers when all have come.
      while not peer.has_message(_LINE_INTERVAL):
        line_time = self._be_patient(line_time, f'those that {chief} waits for')
      answer = peer.receive()
      if answer is None or 'problem' not in answer:
        # The chief's end, or the rest of a training that is going down.
        peer.close()
        time.sleep(_RETRY_INTERVAL)
        continue
      if answer['problem']:
        raise errors.ConfigError(answer['problem'])
      return peer

  def _names(self, indices: Sequence[int]) -> str:
    return ', '.join(self._cluster.name(index) for index in indices)

  def _be_patient(self, line_time: float, names: str) -> float:
    """Prints whom this one waits for now and then; returns when it did."""
    now = time.monotonic()
    if now > self._end_of_patience:
      raise errors.UserError(
        f'Not all workers came: {names} did not. Start each of the '
        f'{self._cluster.num_workers} workers of {cluster_lib.VARIABLE} with '
        'its own task.index, and check that the addresses can be reached.'
      )
    if now - line_time < _LINE_INTERVAL:
      return line_time
    _log.info('Waiting for %s.', names)
    return now

  def _watch(self) -> None:
    """Reads what the others say until all are done, or one is gone."""
    selector = selectors.DefaultSelector()
    for peer in self._peers:
      selector.register(peer.socket, selectors.EVENT_READ, peer)
    while not all(peer.is_done for peer in self._peers):
      for key, _ in selector.select():
        peer = key.data
        message = peer.receive()
        if message and message.get('done'):
          peer.is_done = True
          selector.unregister(peer.socket)
          continue
        if not self._is_ending.is_set():
          self._go_down(peer, message or {})
        return
    self._all_done.set()

  def _go_down(self, peer: _Peer, message: Dict[str, Any]) -> NoReturn:
    index = message.get('failed', peer.index)
    reason = message.get('reason')
    for other in self._peers:
      if other is not peer:
        other.send(failed=index, reason=reason)
    what = (
      f'failed: {reason}'
      if reason
      else 'is gone; its own log, or that of its machine, may say why'
    )
    print(
      'Error: {} {} All workers stop. Started again with the same command, '
      'they go on from the last checkpoint.'.format(
        self._cluster.name(index), what if what.endswith('.') else what + '.'
      ),
      file=sys.stderr,
      flush=True,
    )
    # The main thread waits inside TensorFlow for the one that is gone, and
    # nothing wakes it up.
    os._exit(_FAILED)


def _host_and_port(address: str) -> Any:
  host, _, port = address.rpartition(':')
  return host.strip('[]'), int(port)


def _disagreement(
  cluster: cluster_lib.Cluster, reports: Dict[int, Dict[str, Any]]
) -> Optional[str]:
  """Returns what is wrong with the first worker that differs from the chief."""
  for index, report in sorted(reports.items()):
    shown = [
      f'{key} is {report.get(key)!r}, not {reports[0].get(key)!r}'
      for key in sorted({*reports[0], *report})
      if report.get(key) != reports[0].get(key)
    ]
    if shown:
      if len(shown) > _MAX_DIFFERENCES:
        rest = len(shown) - _MAX_DIFFERENCES
        shown[_MAX_DIFFERENCES:] = [f'{rest} others']
      return (
        '{} differs from {}: {}. All workers need the same config and flags, '
        'as many devices (CUDA_VISIBLE_DEVICES), and one model_dir that they '
        'share.'.format(cluster.name(index), cluster.name(0), '; '.join(shown))
      )
  return None
