"""Workers meet, compare and wait for each other: threads or processes."""

import concurrent.futures
import logging
import os
import signal
import socket
import subprocess
import time

import pytest

from executor.multi_worker import cluster as cluster_lib
from executor.multi_worker import directory_mark, meeting
from tests import programs, tiny_run
from tools import launch_local
from utils import errors

_ROOT = os.path.abspath(
  os.path.join(os.path.dirname(__file__), '..', '..', '..')
)
_REPORT = {'a.b': 1, 'c': [1, 2], 'step in model_dir': 0}


def _cluster(num_workers):
  addresses = launch_local.free_addresses(num_workers)
  return [
    cluster_lib.Cluster(tuple(addresses), False, 'worker', index)
    for index in range(num_workers)
  ]


def _meet(clusters, reports, directories, patience=20.0):
  """All meet at once; returns their results, or what each raised."""

  def meet(cluster, report, directory):
    try:
      return meeting.Meeting(cluster, report, str(directory), patience)
    except errors.UserError as error:
      return error

  with concurrent.futures.ThreadPoolExecutor(len(clusters)) as pool:
    return list(pool.map(meet, clusters, reports, directories))


def test_all_are_done_at_the_same_time(tmp_path):
  ends = []

  def train(met, seconds):
    with met:
      time.sleep(seconds)
      begin = time.monotonic()
    ends.append((begin, time.monotonic()))

  met = _meet(_cluster(3), [_REPORT] * 3, [tmp_path] * 3)
  with concurrent.futures.ThreadPoolExecutor(3) as pool:
    list(pool.map(train, met, [0.1, 0.8, 0.4]))
  assert min(end for _, end in ends) >= max(begin for begin, _ in ends)


def test_the_port_is_free_for_a_server_while_connections_last(tmp_path):
  clusters = _cluster(2)
  met = _meet(clusters, [_REPORT] * 2, [tmp_path] * 2)
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
      {'a.b': 2, 'd': None},
      r'worker 1 \(.*\) differs from worker 0 \(.*\): a.b is 2, not 1\.',
    ),
    ({'c': [2, 1]}, r'c is \[2, 1\], not \[1, 2\]'),
    ({'c': None}, r'c is None, not \[1, 2\]'),
    ({str(i): i for i in range(9)}, '; 4 others. '),
    ({'step in model_dir': 5}, 'step in model_dir is 5, not 0'),
  ],
)
def test_one_that_differs_is_refused_everywhere(tmp_path, changes, message):
  reports = [_REPORT, {**_REPORT, **changes}, _REPORT]
  results = _meet(_cluster(3), reports, [tmp_path] * 3)
  assert len({str(error) for error in results}) == 1
  for error in results:
    assert isinstance(error, errors.ConfigError)
    with pytest.raises(errors.ConfigError, match=message):
      raise error


def test_another_directory_is_refused_though_both_are_empty(
  tmp_path, monkeypatch
):
  monkeypatch.setattr(directory_mark, '_PATIENCE', 0.2)
  chief, other = tmp_path / 'a', tmp_path / 'b'
  results = _meet(_cluster(3), [_REPORT] * 3, [chief, chief, other])
  assert len({str(error) for error in results}) == 1
  with pytest.raises(
    errors.ConfigError, match=r'worker 2 \(.* mark in model_dir is None'
  ):
    raise results[0]
  assert not list(chief.iterdir())


def test_one_that_does_not_come_is_named(tmp_path):
  clusters = _cluster(3)
  results = _meet(clusters[:2], [_REPORT] * 2, [tmp_path] * 2, patience=1.5)
  with pytest.raises(errors.UserError, match=r'worker 2 \(.*\) did not'):
    raise results[0]
  assert isinstance(results[1], errors.UserError)


@pytest.mark.parametrize(
  'text', [b'GET / HTTP/1.1\r\n\r\n', b'["hello"]\n', b'{"hello": 1}\n']
)
def test_others_who_knock_are_ignored(tmp_path, text):
  clusters = _cluster(2)
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    chief = pool.submit(meeting.Meeting, clusters[0], _REPORT, str(tmp_path))
    host, port = clusters[0].workers[0].split(':')
    while True:
      try:
        stranger = socket.create_connection((host, int(port)))
        break
      except OSError:
        time.sleep(0.02)
    stranger.sendall(text)
    worker = pool.submit(meeting.Meeting, clusters[1], _REPORT, str(tmp_path))
    met = [worker.result(20), chief.result(20)]
    stranger.close()
    assert list(pool.map(_end, met)) == [True, True]


def test_one_who_is_kept_waiting_says_so_and_gives_up(
  monkeypatch, caplog, tmp_path
):
  monkeypatch.setattr(meeting, '_LINE_INTERVAL', 0.2)
  (tmp_path / '.workers').touch()
  caplog.set_level(logging.INFO)
  clusters = _cluster(3)
  host, port = clusters[0].workers[0].split(':')
  with socket.socket() as chief:
    # It takes the connection, and does not answer.
    chief.bind((host, int(port)))
    chief.listen(1)
    with pytest.raises(errors.UserError, match='Not all workers came') as info:
      meeting.Meeting(clusters[1], _REPORT, str(tmp_path), patience=1.0)
  whom = f'those that worker 0 ({clusters[0].workers[0]}) waits for'
  assert whom in str(info.value)
  lines = [r.getMessage() for r in caplog.records]
  assert lines.count(f'Waiting for {whom}.') >= 2


def _in_processes(victim, what, directory):
  """Three workers as processes, one of which is killed or fails.

  Returns:
    Exit codes and what each printed last.
  """
  addresses = ','.join(launch_local.free_addresses(3))
  processes = [
    subprocess.Popen(
      [
        *programs.PYTHON,
        '-m',
        'tests.executor.multi_worker.meeting_process',
        addresses,
        str(index),
        what if index == victim else 'waits',
        str(directory),
      ],
      cwd=_ROOT,
      stderr=subprocess.PIPE,
      universal_newlines=True,
    )
    for index in range(3)
  ]
  try:
    texts = [process.communicate(timeout=50)[1] for process in processes]
  finally:
    for process in processes:
      process.kill()
      process.wait()
  return (
    [process.returncode for process in processes],
    [text.splitlines()[-1] if text else '' for text in texts],
  )


@pytest.mark.parametrize(
  'victim,what,code,own,told',
  [
    (0, 'killed', -signal.SIGKILL, '', ' is gone; '),
    # The others may be gone before it has told all of them.
    (
      1,
      'failed',
      3,
      'own error: out of cheese',
      ' failed: out of cheese. All ',
    ),
  ],
)
def test_all_are_told_of_one_that_ends(tmp_path, victim, what, code, own, told):
  codes, texts = _in_processes(victim, what, tmp_path)
  for index in range(3):
    if index == victim:
      assert codes[index] == code
      assert own in texts[index]
      continue
    assert codes[index] == 1
    assert texts[index].startswith(f'Error: worker {victim} (')
    assert told in texts[index]


def test_an_address_that_is_taken_is_named(tmp_path):
  clusters = _cluster(2)
  host, port = clusters[0].workers[0].split(':')
  with socket.socket() as holder:
    holder.bind((host, int(port)))
    holder.listen(1)
    with pytest.raises(
      errors.UserError, match='chief cannot listen at'
    ) as info:
      meeting.Meeting(clusters[0], _REPORT, str(tmp_path))
  assert clusters[0].workers[0] in str(info.value)


def test_what_has_to_be_equal(tmp_path):
  configs = [
    meeting.report(
      tiny_run.resolve(
        tmp_path / name, 'x', {'platform': {'gcp_project': name}}
      ),
      2,
      5,
    )
    for name in ('a', 'b')
  ]
  assert configs[0] == configs[1]
  assert configs[0]['train.train_batch_size'] == 2
  assert configs[0]['number of devices'] == 2
  assert configs[0]['step in model_dir'] == 5
