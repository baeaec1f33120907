"""Programs of the project as a shell runs them, without TensorFlow's start.

They are forks of one process for all tests, which has imported it.
"""

import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# With -c modules are found in the working directory of each program.
_SERVER = 'from tests import program_server; program_server.main()'

_server = None


def run(*argv, cwd=ROOT, **environment):
  """Runs `python ARGV...`; returns a CompletedProcess with texts.

  Args:
    *argv: path of the script, relative to `cwd`, and its arguments.
    cwd: working directory.
    **environment: variables of the environment to change.
  """
  global _server
  if _server is None or _server.poll() is not None:
    _server = subprocess.Popen(
      [sys.executable, '-c', _SERVER],
      cwd=ROOT,
      env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3', 'PYTHONPATH': ROOT},
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
      universal_newlines=True,
      bufsize=1,
    )
  with tempfile.TemporaryDirectory() as folder:
    request = {
      'argv': [str(word) for word in argv],
      'cwd': str(cwd),
      'env': environment,
      'stdout': os.path.join(folder, 'stdout'),
      'stderr': os.path.join(folder, 'stderr'),
    }
    print(json.dumps(request), file=_server.stdin)
    code = int(_server.stdout.readline())
    texts = []
    for name in ('stdout', 'stderr'):
      with open(request[name], encoding='utf-8') as source:
        texts.append(source.read())
  return subprocess.CompletedProcess(argv, code, *texts)
