"""What all programs do alike."""

import os
import subprocess
import sys

import pytest

from utils import program

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(program.__file__)))


@pytest.mark.parametrize(
  'command, told',
  [
    (['main.py', '--model_dri=a'], "'model_dri'. Did you mean: model_dir"),
    (['main.py', '--precision=int8'], '--precision=int8: value should be one'),
    (['inference.py', '--batch_size=two'], '--batch_size=two: invalid literal'),
    (['tools/serve.py', 'a', '--port=70000'], '--port=70000'),
    (['main.py', b'--model_dir=\xff'], "'--model_dir=\\udcff' is no text in U"),
    (['tools/check_records.py'], '--num_classes must have a value'),
    (
      ['main.py', '--params_override=a=1', '--params_override=b=2'],
      '--params_override is given more than once, and only the last',
    ),
  ],
)
def test_flags_that_cannot_be_read_end_with_one_line(command, told):
  run = subprocess.run(
    [sys.executable, *command],
    cwd=_ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    universal_newlines=True,
    timeout=120,
  )
  assert run.returncode == 2
  assert run.stderr.startswith('Error: ')
  assert told in run.stderr
  assert len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize('given', [None, '--tf_xla_cpu_global_jit'])
def test_nothing_is_searched_for_what_xla_might_compile(given):
  environment = dict(os.environ)
  environment.pop('TF_XLA_FLAGS', None)
  if given:
    environment['TF_XLA_FLAGS'] = given
  text = (
    'import os; from utils import program; '
    "program.run(lambda argv: print(os.environ['TF_XLA_FLAGS']))"
  )
  told = subprocess.check_output(
    [sys.executable, '-c', text],
    cwd=_ROOT,
    env=environment,
    universal_newlines=True,
  )
  assert told.strip() == (given or '--tf_xla_clustering_fuel=0')
