"""Augmentation of images and boxes together.

AutoAugment for detection (Zoph et al., arXiv:1906.11172) and RandAugment (Cubuk
et al., arXiv:1909.13719). `operations` is the table of operations, `policies`
holds the policies that have a name, `policy_from_config` reads the config.

Images are uint8 [height, width, 3]. Boxes are float32 [n, 4], normalised,
`[ymin, xmin, ymax, xmax]`, and keep their number and order.
"""

from typing import Any, Optional, Tuple

import tensorflow.compat.v1 as tf

from dataloader.autoaugment import (
  operations,
  policies,
  policy_registry,
  policy_spec,
  sub_policies,
)
from utils import discovery

POLICIES = policy_registry.POLICIES
# Called `f(image[, bboxes], *arguments[, replace])`: those that have boxes as
# an argument return image and boxes, the others the image.
NAME_TO_FUNC = {
  name: operations.public_function(name) for name in operations.OPERATIONS
}

discovery.import_submodules(policies.__path__, policies.__name__)


def policy_from_config(
  value: Any, key: str = 'aug_policy'
) -> Optional[sub_policies.Policy]:
  """Returns what a value of a parser's `aug_policy` stands for.

  Args:
    value: '' or None for no policy; the name of a policy; 'randaugment-N-M'
      for N operations of level M; or a list of sub-policies, each a list of
      [operation, probability, level].
    key: that holds the value, for messages.

  Raises:
    ConfigError: none of these, or with an operation, probability or level that
      is not possible.
  """
  if value is None or value == '':
    return None
  if not isinstance(value, str):
    return sub_policies.random_choice(
      policy_spec.check_sub_policies(value, key)
    )
  randaugment = policy_spec.parse_randaugment(value, key)
  if randaugment:
    return sub_policies.random_operations(*randaugment)
  return POLICIES.get(value, key)


def distort_image_with_autoaugment(
  image: tf.Tensor, bboxes: tf.Tensor, name: str
) -> Tuple[tf.Tensor, tf.Tensor]:
  """Applies a policy to one image.

  Args:
    image: uint8 [height, width, 3].
    bboxes: float32 [n, 4], normalised.
    name: of the policy, or another value of `policy_from_config`.

  Returns:
    Both, augmented, of the same shapes. The random numbers are those of
    `randomness`.

  Raises:
    ConfigError: the policy is not known.
  """
  policy = policy_from_config(name)
  return (image, bboxes) if policy is None else policy(image, bboxes)
