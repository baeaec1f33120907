"""A run looks at its data before it starts, unless it is told not to."""

import json

import pytest

from executor import hardware, run_check, runner
from tests import golden_numbers, record_factory, tiny_run
from utils import errors


def test_first_records_end_a_training(tmp_path):
  bad = record_factory.make_record(b'55', classes=(9,))
  records = tiny_run.write_data(tmp_path, bad_record=bad)
  params = tiny_run.resolve(tmp_path / 'model', records)
  with pytest.raises(errors.DataError, match='record 3 .*class id 9.*nocheck'):
    run_check.check(params, trains=True, evaluates=False)
  run_check.check(params, trains=True, evaluates=False, checks_data=False)


@pytest.mark.parametrize('checks_data', [True, False])
def test_a_plan_reads_records_unless_told_not_to(checks_data, tmp_path, capsys):
  records = tiny_run.write_data(tmp_path)
  params = tiny_run.resolve(tmp_path / 'model', records)
  runner.Runner(params, checks_data=checks_data)._print_plan('train')
  output = capsys.readouterr().out
  assert 'training images' in output
  assert ('none cut' in output) == checks_data


def test_warnings_are_lines_of_the_log(tmp_path, caplog):
  empty = record_factory.make_record(b'55', classes=(), boxes=())
  records = tiny_run.write_data(tmp_path, bad_record=empty)
  params = tiny_run.resolve(tmp_path / 'model', records)
  run_check.check(params, trains=True, evaluates=False)
  (line,) = [m for m in caplog.messages if 'without objects' in m]
  assert line.startswith('train.train_file_pattern: images without objects (1 ')


@pytest.mark.parametrize('num_cores,expected', [(8, 1), (32, 4)])
def test_hosts_of_a_tpu(num_cores, expected):
  params = golden_numbers.make_params(
    {'use_tpu': True, 'train': {'num_shards': num_cores}}
  )
  assert hardware.num_hosts(params) == expected


def test_hosts_without_a_tpu(monkeypatch):
  params = golden_numbers.make_params({'train': {'num_shards': 32}})
  assert hardware.num_hosts(params) == 1
  workers = ['a:1', 'b:1', 'c:1']
  monkeypatch.setenv(
    'TF_CONFIG',
    json.dumps(
      {
        'cluster': {'worker': workers},
        'task': {'type': 'worker', 'index': 0},
      }
    ),
  )
  assert hardware.num_hosts(params) == 3
