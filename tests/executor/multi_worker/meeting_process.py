"""A worker that meets the others, and then is killed, fails or waits.

  python -m tests.executor.multi_worker.meeting_process ADDRESSES INDEX WHAT DIR

ADDRESSES are those of all workers, with commas between; WHAT is killed, failed
or waits; DIR is a directory that they share.
"""

import os
import signal
import sys
import time

from executor.multi_worker import cluster as cluster_lib
from executor.multi_worker import meeting


def main(addresses, index, what, directory):
  cluster = cluster_lib.Cluster(
    tuple(addresses.split(',')), False, 'worker', int(index)
  )
  with meeting.Meeting(cluster, {}, directory) as met:
    if what == 'killed':
      os.kill(os.getpid(), signal.SIGKILL)
    if what == 'failed':
      for peer in met._peers:
        _delay_after(peer)
      raise RuntimeError('out of cheese')
    time.sleep(60)


def _delay_after(peer):
  """Makes sending to it slow."""
  send = peer.send

  def slow(**message):
    send(**message)
    time.sleep(1.0)

  peer.send = slow


if __name__ == '__main__':
  try:
    main(*sys.argv[1:])
  except RuntimeError as error:
    print(f'own error: {error}', file=sys.stderr)
    sys.exit(3)
