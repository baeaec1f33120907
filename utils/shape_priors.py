"""Files of shape priors: what objects of a class look like in their box."""

import io

import numpy as np

from utils import errors

# Means of masks may be off by it.
_ROUNDING = 1e-3


def read(path: str, num_classes: int) -> np.ndarray:
  """Reads a file of `tools/make_shape_priors.py`.

  Args:
    path: of the .npy file, local or remote.
    num_classes: number of classes, the background included; 1 for priors of
      all classes together.

  Returns:
    float32 [num_classes, clusters, side, side] in [0, 1].

  Raises:
    errors.ConfigError: it cannot be read, or does not fit.
  """
  # Imported here: it takes seconds, and most users of this folder need it not.
  import tensorflow.compat.v1 as tf

  try:
    with tf.gfile.GFile(path, 'rb') as file:
      content = io.BytesIO(file.read())
    priors = np.lib.format.read_array(content, allow_pickle=False)
    problem = _problem(priors, num_classes)
  except (tf.errors.OpError, ValueError, OSError) as error:
    reason = getattr(error, 'message', None) or error
    problem = f'cannot be read as a file of numpy ({reason})'
  if problem:
    raise errors.ConfigError(
      f'{errors.shown(path)} {problem}. tools/make_shape_priors.py makes such '
      'files.'
    )
  return priors.astype(np.float32)


def _problem(priors: np.ndarray, num_classes: int) -> str:
  shape = list(priors.shape)
  if priors.ndim != 4 or shape[2] != shape[3] or shape[0] != num_classes:
    return (
      f'has the shape {shape}; needed is [{num_classes}, clusters, side, side]'
      f', {num_classes} being the number of classes with the background, or 1 '
      'if they share their masks'
    )
  if priors.size == 0 or priors.dtype.kind not in 'fui':
    return f'holds {priors.dtype} {shape}; needed are numbers'
  if not (priors.min() >= -_ROUNDING and priors.max() <= 1 + _ROUNDING):
    return (
      f'holds values from {priors.min():g} to {priors.max():g}; shares of '
      'objects are from 0 to 1'
    )
  return ''
