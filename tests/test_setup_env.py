"""How the set-up script looks for Python 3.7."""

import os
import shutil
import subprocess
import sys

import pytest

_SCRIPT = os.path.join(
  os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
  'tools',
  'setup_env.sh',
)
_PLAIN_TOOLS = ('bash', 'cat', 'cksum', 'dirname', 'env', 'grep', 'rm', 'uname')


@pytest.fixture
def machine(tmp_path):
  """A project folder, a home and a PATH that hold what a test puts there."""
  for name in ('project/tools', 'bin', 'home'):
    (tmp_path / name).mkdir(parents=True)
  shutil.copy(_SCRIPT, str(tmp_path / 'project' / 'tools'))
  (tmp_path / 'project' / 'requirements.lock').write_text('pip==1.0\n')
  for tool in _PLAIN_TOOLS:
    (tmp_path / 'bin' / tool).symlink_to(shutil.which(tool))
  return tmp_path


def _add_command(path, script):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text('#!/usr/bin/env bash\n' + script + '\n')
  path.chmod(0o755)


def _add_python(path):
  _add_command(path, f'exec "{sys.executable}" "$@"')


def _run(machine, *args, **env):
  return subprocess.run(
    ['bash', str(machine / 'project' / 'tools' / 'setup_env.sh'), *args],
    env=dict(PATH=str(machine / 'bin'), HOME=str(machine / 'home'), **env),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    universal_newlines=True,
  )


def _found(machine, **env):
  done = _run(machine, '--print-python', **env)
  assert done.returncode == 0, done.stderr
  return done.stdout.strip()


def test_python37_on_the_path_comes_first(machine):
  _add_python(machine / 'bin' / 'python3.7')
  _add_python(machine / 'home/.pyenv/versions/3.7.16/bin/python3.7')
  assert _found(machine) == str(machine / 'bin' / 'python3.7')


def test_a_shim_that_fails_is_passed_over(machine):
  _add_command(machine / 'bin' / 'python3.7', 'exit 127')
  expected = machine / 'home/.pyenv/versions/3.7.16/bin/python3.7'
  _add_python(expected)
  assert _found(machine) == str(expected)


def test_pyenv_says_where_its_versions_are(machine):
  _add_command(machine / 'bin' / 'pyenv', 'echo "{}"'.format(machine / 'else'))
  _add_command(machine / 'else/versions/3.7.1/bin/python3.7', 'exit 1')
  _add_python(machine / 'else/versions/3.7.9/bin/python3.7')
  assert _found(machine) == str(machine / 'else/versions/3.7.9/bin/python3.7')


def test_uv_is_asked_last_and_may_fetch(machine):
  installed = machine / 'uv' / 'python3.7'
  _add_command(
    machine / 'bin' / 'uv',
    'case "$2" in\n'
    'find) [ -x "{0}" ] && echo "{0}" ;;\n'
    'install) cat "{1}" >"{0}"; "{2}" +x "{0}" ;;\n'
    'esac'.format(installed, machine / 'template', shutil.which('chmod')),
  )
  (machine / 'uv').mkdir()
  _add_python(machine / 'template')
  assert _found(machine) == str(installed)


def test_another_version_is_not_taken_for_37(machine):
  _add_command(
    machine / 'bin' / 'python3.7',
    f'exec "{sys.executable}" -c "import sys; sys.version_info = (3, 8); '
    'exec(sys.argv[1])" "$2"',
  )
  done = _run(machine, '--print-python')
  assert done.returncode == 1
  assert done.stdout == ''


def test_none_found_says_how_to_get_it(machine):
  done = _run(machine)
  assert done.returncode == 1
  assert 'Python 3.7 was not found' in done.stderr
  assert 'pyenv install 3.7' in done.stderr
  assert 'uv python install 3.7' in done.stderr
  assert len(done.stderr.strip().splitlines()) == 1
  assert not (machine / 'project' / '.venv').exists()


def test_a_chosen_interpreter_has_to_work(machine):
  _add_python(machine / 'mine')
  assert _found(machine, PYTHON37=str(machine / 'mine')) == str(
    machine / 'mine'
  )
  _add_python(machine / 'bin' / 'python3.7')
  done = _run(machine, PYTHON37='/no/such/python')
  assert done.returncode == 1
  assert 'PYTHON37=/no/such/python' in done.stderr


def _add_venv(machine, frozen):
  """A .venv whose pip reports `frozen`."""
  python = machine / 'project' / '.venv' / 'bin' / 'python'
  # The script asks this interpreter where packages live.
  (machine / 'packages').mkdir()
  _add_command(
    python,
    'case "$*" in\n'
    '"-m pip freeze --all") printf "{}" ;;\n'
    '*purelib*) echo "{}" ;;\n'
    '*) exec "{}" "$@" ;;\n'
    'esac'.format(frozen, machine / 'packages', sys.executable),
  )


def test_a_finished_venv_is_kept_until_the_lock_changes(machine):
  _add_venv(machine, r'pip==1.0\nextra==2\n')
  first = _run(machine)
  assert first.returncode == 0, first.stderr
  assert 'ready' in first.stdout
  assert (machine / 'packages' / 'tpu_detection.pth').exists()
  again = _run(machine)
  assert (again.returncode, again.stdout) == (0, '')

  with (machine / 'project' / 'requirements.lock').open('a') as lock:
    lock.write('numpy==1.19.5\n')
  changed = _run(machine)
  # No Python 3.7 on this machine: the search shows that a rebuild was due.
  assert changed.returncode == 1
  assert 'Python 3.7 was not found' in changed.stderr
