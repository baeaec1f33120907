"""Runs programs of the project in forks of a process that has TensorFlow."""

import atexit
import json
import os
import runpy
import sys
import threading
import traceback


def _run(request):
  """Becomes the program that a request describes."""
  for number, name in ((1, 'stdout'), (2, 'stderr')):
    os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT), number)
  os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
  os.chdir(request['cwd'])
  os.environ.update(request['env'])
  sys.argv = request['argv']
  code = 0
  try:
    runpy.run_path(sys.argv[0], run_name='__main__')
  except SystemExit as error:
    code = error.code or 0
    if not isinstance(code, int):
      print(code, file=sys.stderr)
      code = 1
  except BaseException:
    traceback.print_exc()
    code = 1
  threading._shutdown()
  atexit._run_exitfuncs()
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(code)


def main():
  import tensorflow.compat.v1  # noqa: F401

  requests, answers = sys.stdin, os.fdopen(os.dup(1), 'w')
  # What a fork prints before its files are open belongs to no one.
  for line in iter(requests.readline, ''):
    pid = os.fork()
    if not pid:
      _run(json.loads(line))
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status)
    code = -os.WTERMSIG(status) if killed else os.WEXITSTATUS(status)
    print(code, file=answers, flush=True)
