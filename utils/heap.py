"""Memory that the C library keeps for what is allocated next."""

import ctypes
import multiprocessing

# glibc's numbers of settings; other C libraries have none.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MAX_ARENAS = -1, -3, -8
# The largest that glibc may come to by itself, and several batches.
_LARGEST_REUSED, _LARGEST_KEPT = 2**25, 2**28


def keep_freed_memory() -> None:
  """Keeps up to 256 MB that are freed, in place of giving them back.

  Images and batches come and go. The system clears each page that it hands out
  again, which takes a tenth of the time of an input pipeline. Two processors
  share what is kept; by default each has eight pools of its own.
  """
  mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
  if mallopt is not None:
    mallopt(_MMAP_THRESHOLD, _LARGEST_REUSED)
    mallopt(_TRIM_THRESHOLD, _LARGEST_KEPT)
    mallopt(_MAX_ARENAS, max(1, multiprocessing.cpu_count() // 2))
