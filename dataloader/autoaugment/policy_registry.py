"""Policies by their names."""

from typing import Sequence

from dataloader.autoaugment import policy_spec, sub_policies
from utils import registry

POLICIES = registry.Registry(
  '*_parser.aug_policy',
  (policy_spec.RANDAUGMENT_FORM, 'a list of sub-policies'),
)

# Decorates `policy(image, boxes_normalized)`: uint8 [height, width, 3] and
# float32 [n, 4] to both, augmented. All random numbers have to be drawn from
# `randomness`, or a seed does not reproduce them.
register_policy = POLICIES.register


def register_sub_policies(
  name: str, policy: Sequence[sub_policies.SubPolicy]
) -> None:
  """Registers a list of sub-policies, of which each image takes one.

  Args:
    name: value of a parser's `aug_policy`.
    policy: lists of (operation, probability, level).

  Raises:
    ConfigError: an operation, probability or level is not possible.
  """
  checked = policy_spec.check_sub_policies(policy, f"Policy '{name}'")
  register_policy(name)(sub_policies.random_choice(checked))
