"""Tests of utils.heap."""

import multiprocessing
import resource
import subprocess
import sys

_CODE = """
import ctypes, resource
from utils import heap
# Without huge pages, of which a few would be enough: PR_SET_THP_DISABLE.
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)
{call}
def faults():
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  [bytearray(3 * 2**23) for _ in range(6)]
  return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
[faults() for _ in range(3)]
print(faults())
"""
_POOLS = """
import ctypes, threading
from utils import heap
{call}
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
barrier = threading.Barrier(32)
def allocate():
  barrier.wait()
  libc.malloc(1000)
  barrier.wait()
threads = [threading.Thread(target=allocate) for _ in range(32)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc.malloc_info(0, ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w")))
libc.fflush(None)
"""


def _printed(code: str, call: str) -> str:
  command = [sys.executable, '-c', code.format(call=call)]
  return subprocess.check_output(command, universal_newlines=True)


def _faults(call: str) -> int:
  """Pages handed out again for 6 times 24 MB that were freed before."""
  return int(_printed(_CODE, call))


def test_freed_memory_is_kept():
  pages = 6 * 3 * 2**23 // resource.getpagesize()
  assert _faults('') > pages / 2
  assert _faults('heap.keep_freed_memory()') < pages / 10


def test_threads_share_pools():
  limit = max(1, multiprocessing.cpu_count() // 2)
  counts = [
    _printed(_POOLS, call).count('<heap nr=')
    for call in ('', 'heap.keep_freed_memory()')
  ]
  assert counts[1] <= limit < counts[0]
