"""Stands for a program that runs in a fork of the program server.

  python -S -E program_client.py SOCKET ARGV...

does what `python ARGV...` does, within milliseconds.
"""

import array
import json
import os
import signal
import socket
import sys
import time


def main():
  connection = socket.socket(socket.AF_UNIX)
  while not os.path.exists(sys.argv[1]):
    time.sleep(0.05)
  connection.connect(sys.argv[1])
  request = {
    'argv': sys.argv[2:],
    'cwd': os.getcwd(),
    'env': dict(os.environ),
  }
  files = array.array('i', [0, 1, 2])
  rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, files)
  for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(
      number, lambda number, frame: connection.sendall(bytes([number]))
    )
  connection.sendmsg([json.dumps(request).encode()], [rights])
  for number in files:
    os.close(number)
  code = int(connection.recv(16))
  if code < 0:
    if code != -signal.SIGKILL:
      signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
  os._exit(code)


main()
