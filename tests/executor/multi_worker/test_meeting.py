"""Workers meet, compare and wait for each other, as threads."""

import concurrent.futures
import socket
import time

import pytest

from executor.multi_worker import cluster as cluster_lib
from executor.multi_worker import meeting
from tests import tiny_run
from tools import launch_local
from utils import errors

_REPORT = meeting.Report({'a.b': 1, 'c': [1, 2]}, 1, 0)


def _cluster(num_workers):
  addresses = launch_local.free_addresses(num_workers)
  return [
    cluster_lib.Cluster(tuple(addresses), False, 'worker', index)
    for index in range(num_workers)
  ]


def _meet(clusters, reports, patience=20.0):
  """All meet at once; returns their results, or what each raised."""

  def meet(cluster, report):
    try:
      return meeting.Meeting(cluster, report, patience)
    except errors.UserError as error:
      return error

  with concurrent.futures.ThreadPoolExecutor(len(clusters)) as pool:
    return list(pool.map(meet, clusters, reports))


def test_all_are_done_at_the_same_time():
  ends = []

  def train(met, seconds):
    with met:
      time.sleep(seconds)
      begin = time.monotonic()
    ends.append((begin, time.monotonic()))

  met = _meet(_cluster(3), [_REPORT] * 3)
  with concurrent.futures.ThreadPoolExecutor(3) as pool:
    list(pool.map(train, met, [0.1, 0.8, 0.4]))
  assert min(end for _, end in ends) >= max(begin for begin, _ in ends)


def test_the_port_is_free_for_a_server_while_connections_last():
  clusters = _cluster(2)
  met = _meet(clusters, [_REPORT] * 2)
  host, port = clusters[0].workers[0].split(':')
  with socket.socket() as server:
    # As gRPC does.
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((host, int(port)))
    server.listen(1)
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    assert list(pool.map(_end, met)) == [True, True]


def _end(met):
  with met:
    return True


@pytest.mark.parametrize(
  'changes, message',
  [
    (
      {'config': {'a.b': 2, 'c': [1, 2], 'd': None}},
      r'worker 1 \(.*\) has another config than worker 0 \(.*\): a.b is 2, '
      'not 1',
    ),
    ({'config': {'a.b': 1, 'c': [2, 1]}}, r'c is \[2, 1\], not \[1, 2\]'),
    ({'config': {'a.b': 1}}, r'c is None, not \[1, 2\]'),
    ({'config': {str(i): i for i in range(9)}}, '4 others|6 others'),
    ({'num_devices': 2}, r'worker 1 \(.*\) has 2 devices, .* has 1'),
    ({'step': 5}, 'sees step 5 in model_dir, .* step 0'),
  ],
)
def test_one_that_differs_is_refused_everywhere(changes, message):
  results = _meet(_cluster(3), [_REPORT, _REPORT._replace(**changes), _REPORT])
  assert len({str(error) for error in results}) == 1
  for error in results:
    assert isinstance(error, errors.ConfigError)
    with pytest.raises(errors.ConfigError, match=message):
      raise error


def test_one_that_does_not_come_is_named():
  clusters = _cluster(3)
  results = _meet(clusters[:2], [_REPORT] * 2, patience=1.5)
  with pytest.raises(errors.UserError, match=r'worker 2 \(.*\) did not'):
    raise results[0]
  assert isinstance(results[1], errors.UserError)


def test_others_who_knock_are_ignored():
  clusters = _cluster(2)
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    chief = pool.submit(meeting.Meeting, clusters[0], _REPORT)
    host, port = clusters[0].workers[0].split(':')
    while True:
      try:
        stranger = socket.create_connection((host, int(port)))
        break
      except OSError:
        time.sleep(0.02)
    stranger.sendall(b'GET / HTTP/1.1\r\n\r\n')
    worker = pool.submit(meeting.Meeting, clusters[1], _REPORT)
    met = [worker.result(20), chief.result(20)]
    stranger.close()
    assert list(pool.map(_end, met)) == [True, True]


def test_an_address_that_is_taken_is_named():
  clusters = _cluster(2)
  host, port = clusters[0].workers[0].split(':')
  with socket.socket() as holder:
    holder.bind((host, int(port)))
    holder.listen(1)
    with pytest.raises(
      errors.UserError, match='chief cannot listen at'
    ) as info:
      meeting.Meeting(clusters[0], _REPORT)
  assert clusters[0].workers[0] in str(info.value)


def test_what_has_to_be_equal(tmp_path):
  configs = [
    meeting.comparable_config(
      tiny_run.resolve(
        tmp_path / name, 'x', {'platform': {'gcp_project': name}}
      )
    )
    for name in ('a', 'b')
  ]
  assert configs[0] == configs[1]
  assert configs[0]['train.train_batch_size'] == 2
