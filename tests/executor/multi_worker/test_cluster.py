"""TF_CONFIG in all its forms."""

import json
import os

import pytest

from executor.multi_worker import cluster
from utils import errors


def _read(config):
  text = config if isinstance(config, str) else json.dumps(config)
  return cluster.from_environment({'TF_CONFIG': text})


def _config(job, index, **jobs):
  return {'cluster': jobs, 'task': {'type': job, 'index': index}}


@pytest.mark.parametrize(
  'environment',
  [
    {},
    {'TF_CONFIG': ''},
    {'TF_CONFIG': '{}'},
    {'TF_CONFIG': '{"cluster": {}}'},
    # What managed platforms set for a job of one machine.
    {
      'TF_CONFIG': json.dumps(
        {
          'cluster': {'master': ['host:2222']},
          'task': {'type': 'master', 'index': 0},
          'environment': 'cloud',
        }
      )
    },
  ],
)
def test_one_process(environment):
  assert cluster.from_environment(environment) is None


@pytest.mark.parametrize(
  'job, index, position',
  [('chief', 0, 0), ('worker', 0, 1), ('worker', 1, 2)],
)
def test_the_chief_is_the_first_worker(job, index, position):
  read = _read(_config(job, index, chief=['a:1'], worker=['b:1', 'c:1']))
  assert read.workers == ('a:1', 'b:1', 'c:1')
  assert (read.task, read.index) == ('worker', position)
  assert read.is_chief == (position == 0)
  assert not read.has_evaluator
  assert read.spec.as_dict() == {'worker': ['a:1', 'b:1', 'c:1']}
  assert read.name(1) == 'worker 1 (b:1)'


def test_workers_without_a_chief():
  read = _read(_config('worker', 0, worker=['b:1', 'c:1']))
  assert read.is_chief
  assert read.num_workers == 2


@pytest.mark.parametrize('listed', [{}, {'evaluator': ['e:1']}])
def test_an_evaluator_need_not_be_listed(listed):
  read = _read(_config('evaluator', 0, worker=['b:1'], **listed))
  assert not read.is_worker
  assert not read.is_chief
  assert read.has_evaluator


def test_a_worker_beside_an_evaluator():
  read = _read(_config('worker', 0, worker=['b:1'], evaluator=['e:1']))
  assert read.is_chief
  assert read.has_evaluator


@pytest.mark.parametrize(
  'config, message',
  [
    ('{', 'is no JSON'),
    ({'cluster': ['a:1']}, "'cluster' has to map jobs"),
    (_config('ps', 0, worker=['a:1'], ps=['b:1']), "job 'ps'.*no parameter"),
    (_config('chief', 0, chief=['a:1', 'b:1']), 'more than one chief'),
    (_config('chief', 0, chief=['a:1'], master=['b:1']), 'more than one chief'),
    (_config('worker', 0, worker='a:1'), 'has to be a list of host:port'),
    (_config('worker', 0, worker=['a']), "'cluster.worker' has 'a'"),
    (_config('worker', 0, worker=['a:1', 'a:1']), 'lists an address twice'),
    ({'cluster': {'worker': ['a:1', 'b:1']}}, "has no 'task'"),
    (_config('boss', 0, worker=['a:1', 'b:1']), "'boss'; there are worker"),
    (_config('worker', 2, worker=['a:1', 'b:1']), 'has 0 to 1'),
    (_config('worker', '0', worker=['a:1', 'b:1']), "'task.index' is '0'"),
    (_config('evaluator', 0, evaluator=['a:1']), 'has no worker'),
  ],
)
def test_what_is_wrong_is_named(config, message):
  with pytest.raises(errors.ConfigError, match='^TF_CONFIG ') as info:
    _read(config)
  assert info.match(message)
  assert info.match('It looks like')


def test_estimators_do_not_see_it(monkeypatch):
  monkeypatch.setenv('TF_CONFIG', 'x')
  with cluster.hidden_environment():
    assert 'TF_CONFIG' not in os.environ
  assert os.environ['TF_CONFIG'] == 'x'
  monkeypatch.delenv('TF_CONFIG')
  with cluster.hidden_environment():
    pass
  assert 'TF_CONFIG' not in os.environ
