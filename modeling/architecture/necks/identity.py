"""No neck: backbones that end in a pyramid feed the head directly."""

from typing import Any, Dict

import tensorflow.compat.v1 as tf

from modeling.architecture import normalization, registries


class Identity:
  """Returns the backbone's maps unchanged."""

  def __call__(
    self, features: Dict[int, tf.Tensor], is_training: bool
  ) -> Dict[int, tf.Tensor]:
    del is_training
    return features


@registries.register_neck('identity')
def from_params(params: Any, shared: normalization.Normalization) -> Identity:
  del params, shared
  return Identity()
