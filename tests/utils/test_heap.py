"""Tests of utils.heap."""

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


def _faults(call: str) -> int:
  """Pages handed out again for 6 times 24 MB that were freed before."""
  code = _CODE.format(call=call)
  return int(subprocess.check_output([sys.executable, '-c', code]))


def test_freed_memory_is_kept():
  pages = 6 * 3 * 2**23 // resource.getpagesize()
  assert _faults('') > pages / 2
  assert _faults('heap.keep_freed_memory()') < pages / 10
