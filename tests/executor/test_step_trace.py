"""Which steps are traced."""

import types

import pytest

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
  assert 'between 5 and 60' in message and '--profile_steps=7,8' in message


def test_too_many_steps():
  with pytest.raises(errors.ConfigError, match='of 100 steps at most'):
    step_trace.parse('1,101', _params(1000), 0, trains=True)


def test_runs_that_cannot_be_traced():
  with pytest.raises(errors.ConfigError, match='for a run that trains'):
    step_trace.parse('5,6', _params(), 0, trains=False)
  with pytest.raises(errors.ConfigError, match='Use capture_tpu_profile'):
    step_trace.parse('5,6', _params(use_tpu=True), 0, trains=True)
