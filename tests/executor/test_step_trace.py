"""Which steps are traced, and what of them is shown."""

import json
import types

import pytest
import tensorflow.compat.v1 as tf

from executor import step_trace
from utils import errors


def _params(total_steps=60, use_tpu=False):
  return types.SimpleNamespace(
    use_tpu=use_tpu, train=types.SimpleNamespace(total_steps=total_steps)
  )


def test_first_and_last_step():
  assert step_trace.parse('5,7', _params(), 4, trains=True) == (5, 7)
  assert step_trace.parse('60,60', _params(), 0, trains=True) == (60, 60)


@pytest.mark.parametrize(
  'text', ['', '5', '5,x', '7,5', '0,3', '4,6', '59,61', '5,6,7', '5-6']
)
def test_steps_that_the_run_does_not_do(text):
  with pytest.raises(errors.ConfigError) as info:
    step_trace.parse(text, _params(), 4, trains=True)
  message = str(info.value)
  assert f'--profile_steps={text}: ' in message
  assert 'does, 5 to 60' in message and '--profile_steps=7,8' in message


def test_too_many_steps():
  with pytest.raises(errors.ConfigError, match='at most 100, of'):
    step_trace.parse('1,101', _params(1000), 0, trains=True)


def test_runs_that_cannot_be_traced():
  with pytest.raises(errors.ConfigError, match='for a run that trains'):
    step_trace.parse('5,6', _params(), 0, trains=False)
  with pytest.raises(errors.ConfigError, match='Use capture_tpu_profile'):
    step_trace.parse('5,6', _params(use_tpu=True), 0, trains=True)


def test_traces_and_the_dearest_ops(tmp_path, capsys):
  hook = step_trace.TraceHook((2, 3), str(tmp_path))
  with tf.Graph().as_default():
    step = tf.train.get_or_create_global_step()
    large = tf.random.uniform([400, 400], name='large')
    product = tf.matmul(large, large, name='product')
    with tf.control_dependencies([product]):
      train_op = tf.assign_add(step, 1)
    with tf.train.SingularMonitoredSession([hook]) as session:
      for _ in range(4):
        session.run(train_op)
  names = sorted(path.name for path in tmp_path.iterdir())
  assert names == ['trace_2.json', 'trace_3.json']
  for name in names:
    events = json.loads((tmp_path / name).read_text())['traceEvents']
    ops = [event for event in events if event['ph'] == 'X']
    assert {'MatMul', 'RandomUniform'} <= {op['name'] for op in ops}
    assert all({'ts', 'dur', 'pid', 'tid'} <= set(op) for op in ops)
  title, *lines = capsys.readouterr().out.splitlines()
  assert 'ops, steps 2 to 3' in title
  rows = [line.split() for line in lines if line.strip().endswith('%')]
  assert ['product', 'MatMul'] in [row[:2] for row in rows[:2]]
  times = [float(row[2]) for row in rows]
  assert times == sorted(times, reverse=True)
  # Of both steps together.
  assert sum(float(row[3][:-1]) for row in rows) == pytest.approx(100, abs=1)
