"""The config of a checkpoint that somebody trained."""

import logging
import os
from typing import Optional

import tensorflow.compat.v1 as tf

from utils import errors

_log = logging.getLogger(__name__)

_PARAMS = 'params.yaml'


def config_beside(checkpoint: str, model: Optional[str]) -> str:
  """Returns the path of the `params.yaml` that training left.

  Args:
    checkpoint: prefix of the checkpoint's files.
    model: with it, '' is returned if there is no such file: the model's
      defaults.

  Raises:
    ConfigError: there is no file, and `model` is not given.
  """
  path = os.path.join(os.path.dirname(checkpoint), _PARAMS)
  if tf.gfile.Exists(path):
    return path
  if model:
    _log.warning("No '%s': %s with its default parameters.", path, model)
    return ''
  raise errors.ConfigError(
    "config_file: '' is empty and there is no '{}' beside the checkpoint "
    "'{}', so that the architecture is not known. Give the parameters that "
    'the checkpoint was trained with as --config_file, or --model for the '
    'defaults of a model.'.format(path, checkpoint)
  )
