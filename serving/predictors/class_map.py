"""Class maps from what a model puts out."""

import functools
import io
from typing import Any, Callable, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image

from ops import class_maps


def decoded(png: bytes) -> np.ndarray:
  """Returns uint8 [height, width] of a grey PNG."""
  return np.asarray(Image.open(io.BytesIO(png)))


def of_logits(
  logits: np.ndarray, image_info: np.ndarray, padded_size: Sequence[int]
) -> Tuple[np.ndarray, np.ndarray]:
  """Classes and scores, uint8 [height, width]; see `class_maps.of_image`."""
  call = _callable(logits.shape, tuple(padded_size))
  classes, scores = call(logits, image_info)
  return classes, scores


@functools.lru_cache(maxsize=None)
def _callable(
  shape: Tuple[int, ...], padded_size: Tuple[int, int]
) -> Callable[..., Any]:
  with tf.Graph().as_default() as graph:
    logits = tf.placeholder(tf.float32, shape)
    image_info = tf.placeholder(tf.float32, [4, 2])
    maps = class_maps.of_image(logits, image_info, padded_size, 0.0)
  # Nobody is to see the memory of a GPU taken by this.
  session = tf.Session(
    graph=graph, config=tf.ConfigProto(device_count={'GPU': 0})
  )
  return session.make_callable(list(maps), [logits, image_info])
