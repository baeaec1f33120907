"""Programs of the project, without the seconds that TensorFlow's start takes.

They are forks of one process for all tests of this one, which has imported it.
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_DIRECTORY = tempfile.mkdtemp()
_SOCKET = os.path.join(_DIRECTORY, 'socket')
# In place of `python` in a command.
PYTHON = (
  *(sys.executable, '-S', '-E'),
  os.path.join(ROOT, 'tests', 'program_client.py'),
  _SOCKET,
)

# With -c modules are found in the working directory of each program.
_server = subprocess.Popen(
  [
    sys.executable,
    '-c',
    'import sys; from tests import program_server; '
    'program_server.serve(sys.argv[1])',
    _SOCKET,
  ],
  cwd=ROOT,
  env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3', 'PYTHONPATH': ROOT},
  stdin=subprocess.PIPE,
  stderr=subprocess.DEVNULL,
)


@atexit.register
def _end():
  _server.kill()
  shutil.rmtree(_DIRECTORY, ignore_errors=True)


def run(*argv, cwd=ROOT, **environment):
  """Runs `python ARGV...`; returns a CompletedProcess with texts.

  Args:
    *argv: path of the script, relative to `cwd`, and its arguments.
    cwd: working directory.
    **environment: variables of the environment to change.
  """
  return subprocess.run(
    [*PYTHON, *map(str, argv)],
    cwd=str(cwd),
    env={**os.environ, **environment},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    universal_newlines=True,
  )
