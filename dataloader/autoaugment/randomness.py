"""Random numbers of augmentation, from a seed that belongs to the image.

Code that augments an image draws from here. Inside of `seeded` the numbers
follow from the seed alone, whatever thread runs and in whatever order;
elsewhere they differ from run to run.
"""

import contextlib
import threading
from typing import Iterator, Sequence, Union

import tensorflow.compat.v1 as tf

_Number = Union[int, tf.Tensor]

# A uniform float32 has this many random bits.
_BITS_OF_DRAW = 23


class _Scope(threading.local):
  """The seed in effect while this thread builds a graph."""

  seed = None
  num_draws = 0


_scope = _Scope()


def seed_of(draws: tf.Tensor) -> tf.Tensor:
  """A seed, int32 [2], from float32 [2], uniform in [0, 1)."""
  return tf.cast(draws * 2.0**_BITS_OF_DRAW, tf.int32)


@contextlib.contextmanager
def seeded(seed: tf.Tensor) -> Iterator[None]:
  """Draws of the graph that is built inside follow from `seed`.

  Args:
    seed: int32 [2].
  """
  previous = _scope.seed, _scope.num_draws
  _scope.seed, _scope.num_draws = seed, 0
  try:
    yield
  finally:
    _scope.seed, _scope.num_draws = previous


@contextlib.contextmanager
def repetition(index: _Number) -> Iterator[None]:
  """For the body of a loop: each repetition gets numbers of its own.

  The graph of a body is built once, so that its draws would be the same each
  time.

  Args:
    index: int32 scalar, the number of the repetition.
  """
  if _scope.seed is None:
    yield
    return
  _scope.num_draws += 1
  # Numbers of draws are small: their sums with multiples of 1024 differ.
  with seeded(_scope.seed + [1 + index, 1024 * _scope.num_draws]):
    yield


def uniform(shape: Union[Sequence[_Number], tf.Tensor]) -> tf.Tensor:
  """float32 of `shape`, uniform in [0, 1)."""
  if _scope.seed is None:
    return tf.random.uniform(shape)
  _scope.num_draws += 1
  # Without the scaling to a range, which takes longer than the numbers.
  return tf.raw_ops.StatelessRandomUniform(
    shape=tf.convert_to_tensor(shape, tf.int32),
    seed=_scope.seed + [0, _scope.num_draws],
    dtype=tf.float32,
  )


def integer(limit: _Number, shape: Sequence[int] = ()) -> tf.Tensor:
  """int32 of `shape`, uniform in 0 ... limit - 1.

  Args:
    limit: above 0; scalar or of `shape`.
    shape: of the result.
  """
  draws = uniform(shape) * tf.cast(limit, tf.float32)
  return tf.cast(draws, tf.int32)


def happens(
  probability: Union[float, tf.Tensor], shape: Sequence[_Number] = ()
) -> tf.Tensor:
  """bool of `shape`: never for probability 0, always for 1."""
  return uniform(shape) + probability >= 1.0


def sign() -> tf.Tensor:
  """1.0 or -1.0, float32."""
  return tf.where(happens(0.5), 1.0, -1.0)
