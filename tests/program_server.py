"""A process that has the libraries loaded, and becomes a program in a fork."""

import array
import atexit
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback


def serve(path):
  """Answers the clients of a Unix socket until the standard input ends."""
  # What programs import takes longest; of the project they import their own.
  import faster_coco_eval  # noqa: F401
  import tensorflow.compat.v1  # noqa: F401
  import tf2onnx  # noqa: F401

  listener = socket.socket(socket.AF_UNIX)
  listener.bind(path + '.new')
  listener.listen(64)
  os.rename(path + '.new', path)
  signal.signal(signal.SIGCHLD, signal.SIG_IGN)
  while True:
    ready, _, _ = select.select([listener, sys.stdin], [], [])
    if listener not in ready:
      return
    connection, _ = listener.accept()
    if not os.fork():
      listener.close()
      signal.signal(signal.SIGCHLD, signal.SIG_DFL)
      _watch(connection)
      os._exit(0)
    connection.close()


def _watch(connection):
  """Runs a program, passes signals on to it, and sends its exit code."""
  numbers = array.array('i')
  request, ancillary, _, _ = connection.recvmsg(2**20, 3 * numbers.itemsize * 8)
  numbers.frombytes(ancillary[0][2])
  pid = os.fork()
  if not pid:
    connection.close()
    _become(json.loads(request.decode()), numbers)
  for number in numbers:
    os.close(number)
  while True:
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
      break
    if select.select([connection], [], [], 0.02)[0]:
      received = connection.recv(1)
      os.kill(pid, received[0] if received else signal.SIGKILL)
      if not received:
        return
  killed = os.WIFSIGNALED(status)
  code = -os.WTERMSIG(status) if killed else os.WEXITSTATUS(status)
  connection.sendall(str(code).encode())


def _become(request, numbers):
  for number, target in zip(numbers, range(3)):
    os.dup2(number, target)
  os.chdir(request['cwd'])
  os.environ.clear()
  os.environ.update(request['env'])
  sys.argv = argv = request['argv']
  code = 0
  try:
    if argv[0] == '-c':
      sys.argv = ['-c', *argv[2:]]
      exec(compile(argv[1], '<string>', 'exec'), {'__name__': '__main__'})
    elif argv[0] == '-m':
      sys.argv = argv[1:]
      runpy.run_module(argv[1], run_name='__main__', alter_sys=True)
    else:
      runpy.run_path(argv[0], run_name='__main__')
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
