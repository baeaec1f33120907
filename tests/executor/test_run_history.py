"""What a directory tells of the runs that trained in it."""

import json
import sys

import pytest

from executor import run_history
from tests import tiny_run


def _lines(params):
  with open(params.model_dir + '/history.jsonl') as source:
    return [json.loads(line) for line in source]


def test_starts_and_ends(tmp_path, monkeypatch):
  records = tiny_run.write_data(tmp_path)
  params = tiny_run.resolve(tmp_path, records)
  monkeypatch.setattr(sys, 'argv', ['main.py', '--params_override=a b'])
  history = run_history.RunHistory(params)
  # What does not come to its first step leaves nothing.
  with history.ending():
    assert not (tmp_path / 'history.jsonl').exists()
  with history.ending():
    history.start()
    (tmp_path / 'model.ckpt-3.index').write_text('')
    history.start()
  with pytest.raises(ValueError, match='no'), history.ending():
    raise ValueError('no records\nat all')
  start, end, failed = _lines(params)
  assert [line['event'] for line in (start, end, failed)] == [
    'start',
    'end',
    'end',
  ]
  assert [line['step'] for line in (start, end, failed)] == [0, 3, 3]
  assert start['command'] == "main.py '--params_override=a b'"
  assert start['changes']['train']['train_batch_size'] == 2
  assert start['changes']['resnet'] == {'resnet_depth': 10}
  assert 'dropblock' not in start['changes']
  assert start['versions']['tensorflow'] == '1.15.0'
  assert {'host', 'revision', 'time'} <= set(start)
  assert end['why'] == 'finished' and end['best'] is None
  assert failed['why'] == 'no records'
