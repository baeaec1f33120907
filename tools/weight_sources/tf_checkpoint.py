"""Checkpoints of TF1: official ResNets, and EfficientNet of the TPU release."""

from typing import Dict, Mapping, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from modeling import checkpoint as checkpoint_lib
from ops import preprocess_ops
from utils import errors

_AVERAGE = '/ExponentialMovingAverage'
# The scope of official/r1/resnet of tensorflow/models, whose networks take
# images in [0, 255], less this mean.
_MODELS_SCOPE = 'resnet_model/'
_MODELS_MEAN = np.float32([123.68, 116.78, 103.94])

_KERAS = (
  'Keras, whose ResNet50 strides in the first 1x1 convolution of a group, and '
  'this one in the 3x3'
)
_KERAS_ENDINGS = ('.h5', '.hdf5', '.keras')
# How names begin in what does not fit.
_REFUSED = {
  '_CHECKPOINTABLE_OBJECT_GRAPH': _KERAS,
  'resnet_v1_': (
    'slim, whose resnet_v1 strides in the last block of a group, and this one '
    'in the first'
  ),
}
_NUM_NAMES = 3


def read(
  path: str, scope: str, shapes: Mapping[str, Sequence[int]]
) -> Dict[str, np.ndarray]:
  """Returns a value for each variable of a backbone.

  Moving averages are preferred to what they are of.

  Args:
    path: prefix of a checkpoint, one of its files, or a directory.
    scope: of the variables.
    shapes: {name of a variable: its shape}, all of the backbone's.

  Raises:
    errors.UserError: there is no checkpoint, or a damaged one, a variable is
      missing or of another shape, or all have the names of here already.
  """
  if path.lower().endswith(_KERAS_ENDINGS):
    _refuse(path, _KERAS)
  prefix = checkpoint_lib.resolve_checkpoint(path)
  checkpoint_lib.check_intact(prefix)
  reader = tf.train.load_checkpoint(prefix)
  stored = reader.get_variable_to_shape_map()
  for beginning, origin in _REFUSED.items():
    if any(name.startswith(beginning) for name in stored):
      _refuse(path, origin)
  endings = {variable: variable[len(scope) + 1 :] for variable in shapes}
  scopes = (scope + '/', _MODELS_SCOPE, '')
  there = next(
    (s for s in scopes if any(s + end in stored for end in endings.values())),
    scopes[0],
  )
  names = {}
  for variable, ending in endings.items():
    average = there + ending + _AVERAGE
    names[variable] = average if average in stored else there + ending
  _check_fit(names, stored, shapes, path)
  if names == {variable: variable for variable in shapes}:
    # Whose batch norm's epsilon is not that of the sources either.
    raise errors.ConfigError(
      f"'{path}' has the names of this framework, which trained or imported "
      'it: it needs no import. Give it as train.checkpoint.path, with an empty '
      'train.checkpoint.prefix.'
    )
  values = {
    variable: reader.get_tensor(name) for variable, name in names.items()
  }
  if there == _MODELS_SCOPE:
    _normalise_input(values, scope)
  return values


def _refuse(path: str, origin: str) -> None:
  raise errors.DataError(
    f"'{path}' is of {origin}. Take one of torchvision or timm, or an official "
    'ResNet of TF1.'
  )


def _check_fit(
  names: Mapping[str, str],
  stored: Mapping[str, Sequence[int]],
  shapes: Mapping[str, Sequence[int]],
  path: str,
) -> None:
  missing = [name for name in names.values() if name not in stored]
  if missing:
    raise errors.DataError(
      f"'{path}' lacks {len(missing)} of {len(names)} variables, such as "
      f'{", ".join(missing[:_NUM_NAMES])}; it has '
      f'{", ".join(sorted(stored)[:_NUM_NAMES])}. Give the --backbone and '
      '--depth that it is of; a ResNet of version 2 does not fit.'
    )
  for variable, name in names.items():
    if list(stored[name]) != list(shapes[variable]):
      raise errors.DataError(
        f"'{path}': {name} is of shape {list(stored[name])}, but of "
        f'{list(shapes[variable])} in {variable}. Give the --backbone and '
        '--depth that it is of.'
      )


def _normalise_input(values: Dict[str, np.ndarray], scope: str) -> None:
  """Makes the first layer take images as they are normalised here.

  With x of here, the image there is scale * x + shift, a factor and a summand
  for each channel: the one goes into the kernel, what the other gives into the
  moving mean.
  """
  kernel = f'{scope}/conv2d/kernel'
  mean = f'{scope}/batch_normalization/moving_mean'
  shift = 255 * preprocess_ops.MEAN_RGB - _MODELS_MEAN
  values[mean] = values[mean] - np.einsum('hwio,i->o', values[kernel], shift)
  scale = 255 * preprocess_ops.STDDEV_RGB
  values[kernel] = values[kernel] * scale[:, None]
