"""Decoded pictures of a set, each looked at once."""

import collections
import concurrent.futures
import functools
import os
from typing import Callable, Deque, Dict, List, NamedTuple, Tuple

import cv2
import numpy as np
import tensorflow.compat.v1 as tf

from ops import image_decoding

# Pictures that wait for a core; bounds the memory.
_AHEAD = 32
# Pixels of the shorter side, at least, that likeness is judged by.
_SMALL = 64
# Bits in which pictures that look alike may differ.
_MOST_BITS = 3


class Pictures(NamedTuple):
  """What N pictures show.

  Attributes:
    reasons: why a picture does not decode, by its index.
    near_hashes: uint64 [N]; pictures that look alike differ in few bits. 0 if
      there is little to see.
  """

  reasons: Dict[int, str]
  near_hashes: np.ndarray


class PictureReader:
  """Decodes pictures as training does, on all cores, while more are added."""

  def __init__(self):
    self._decode = _decoder()
    self._pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count() + 1)
    self._waiting: Deque[concurrent.futures.Future] = collections.deque()
    self._looks: List[Tuple[str, int]] = []

  def add(self, encoded: bytes) -> None:
    """Takes the next picture."""
    self._waiting.append(self._pool.submit(self._look, encoded))
    if len(self._waiting) > _AHEAD:
      self._looks.append(self._waiting.popleft().result())

  def pictures(self) -> Pictures:
    """What was seen of all pictures."""
    self._looks.extend(future.result() for future in self._waiting)
    self._waiting.clear()
    self._pool.shutdown()
    reasons = [reason for reason, _ in self._looks]
    return Pictures(
      reasons={i: reason for i, reason in enumerate(reasons) if reason},
      near_hashes=np.array([value for _, value in self._looks], np.uint64),
    )

  def _look(self, encoded: bytes) -> Tuple[str, int]:
    try:
      pixels = self._decode(encoded)
    except tf.errors.OpError as error:
      return error.message.splitlines()[0], 0
    return '', near_hash(pixels)


@functools.lru_cache(maxsize=None)
def _decoder() -> Callable[[bytes], np.ndarray]:
  with tf.Graph().as_default() as graph:
    encoded = tf.placeholder(tf.string, [])
    decoded = image_decoding.decode_image(encoded)
  session = tf.Session(
    graph=graph,
    # Each caller's thread does its own work.
    config=tf.ConfigProto(
      device_count={'GPU': 0}, inter_op_parallelism_threads=-1
    ),
  )
  return session.make_callable(decoded, [encoded])


def near_hash(pixels: np.ndarray) -> int:
  """Whether brightness rises from left to right, at 8 x 8 places, as bits.

  Args:
    pixels: uint8 [height, width, 3].

  Returns:
    64 bits, of which compression and resizing change few; 0 for a picture
    whose bits are nearly all the same, as of one of a single colour.
  """
  step = max(1, min(pixels.shape[:2]) // _SMALL)
  # Green is most of what the eye takes for brightness.
  green = np.ascontiguousarray(pixels[::step, ::step, 1])
  small = cv2.resize(green, (9, 8), interpolation=cv2.INTER_AREA)
  bits = small[:, 1:] > small[:, :-1]
  if not 8 <= bits.sum() <= 56:
    return 0
  return int.from_bytes(np.packbits(bits).tobytes(), 'big')


def near_pairs(hashes: np.ndarray, others: np.ndarray) -> Dict[int, int]:
  """Pairs that differ in few bits, without a look at most of the others.

  Of two hashes that differ in at most 3 bits, one of four parts of 16 bits is
  the same.

  Args:
    hashes: uint64 [N], of `near_hash`.
    others: uint64 [K].

  Returns:
    For each of the N that has one, its index and that of the nearest other.
  """
  known = {value: index for index, value in enumerate(others.tolist())}
  values = collections.defaultdict(list)
  for value in known:
    for part in _parts(value):
      values[part].append(value)
  pairs = {}
  for index, value in enumerate(hashes.tolist()):
    candidates = (other for part in _parts(value) for other in values[part])
    num_bits, nearest = min(
      ((bin(value ^ other).count('1'), other) for other in candidates),
      default=(64, None),
    )
    if num_bits <= _MOST_BITS:
      pairs[index] = known[nearest]
  return pairs


def _parts(value: int) -> List[Tuple[int, int]]:
  """Numbers and values of the parts; none of a hash that says nothing."""
  return [(i, value >> 16 * i & 0xFFFF) for i in range(4) if value]
