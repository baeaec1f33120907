"""Checks of policies written as text or lists."""

import numbers
import re
from typing import Any, List, Optional, Tuple

from dataloader.autoaugment import operations, sub_policies
from utils import errors

_FORM = (
  'A policy is a list of sub-policies, each a list of [operation, probability, '
  'level]: [[[Equalize, 0.8, 10], [Color, 0.5, 4]], [[Cutout, 1.0, 8]]].'
)
RANDAUGMENT_FORM = 'randaugment-N-M'
_RANDAUGMENT = re.compile(r'randaugment-(\d+)-(\d+(?:\.\d+)?)')
_MAX_RANDAUGMENT_STEPS = 20


def check_sub_policies(value: Any, key: str) -> List[sub_policies.SubPolicy]:
  """Returns a policy given as lists.

  Args:
    value: what should be a list of lists of [operation, probability, level].
    key: where it stands, for messages.

  Raises:
    ConfigError: it is not that; the place, the value and what is allowed are
      named.
  """
  checked = []
  for i, sub_policy in enumerate(_items(value, key, 'a list of sub-policies')):
    where = f'{key}[{i}]'
    steps = _items(
      sub_policy, where, 'a list of [operation, probability, level]'
    )
    checked.append(
      [_check_step(step, f'{where}[{j}]') for j, step in enumerate(steps)]
    )
  return checked


def parse_randaugment(text: str, key: str) -> Optional[Tuple[int, float]]:
  """Reads `randaugment-N-M`.

  Returns:
    (N, number of operations for each image; M, their level), or None if the
    text does not begin with randaugment.

  Raises:
    ConfigError: it begins so and goes on wrongly.
  """
  if not text.startswith('randaugment'):
    return None
  match = _RANDAUGMENT.fullmatch(text)
  if match:
    num_steps, level = int(match.group(1)), float(match.group(2))
    if (
      1 <= num_steps <= _MAX_RANDAUGMENT_STEPS and level <= operations.MAX_LEVEL
    ):
      return num_steps, level
  raise errors.ConfigError(
    f'{key}: {text!r} is not {RANDAUGMENT_FORM}, with N operations for each '
    f'image (1 to {_MAX_RANDAUGMENT_STEPS}) of level M (0 to '
    f'{operations.MAX_LEVEL:g}), for example randaugment-2-6.'
  )


def _items(value: Any, where: str, wanted: str) -> List[Any]:
  if isinstance(value, (list, tuple)) and value:
    return list(value)
  raise errors.ConfigError(
    '{} must be {}, but {!r} is {}. {}'.format(
      where,
      wanted,
      value,
      'empty' if isinstance(value, (list, tuple)) else type(value).__name__,
      _FORM,
    )
  )


def _check_step(step: Any, where: str) -> sub_policies.Step:
  if not isinstance(step, (list, tuple)) or len(step) != 3:
    raise errors.ConfigError(
      f'{where} must be [operation, probability, level], but is {step!r}. '
      f'{_FORM}'
    )
  name, probability, level = step
  if not isinstance(name, str) or name not in operations.OPERATIONS:
    raise errors.ConfigError(
      '{}: operation {!r} is unknown; known are {}.{}'.format(
        where,
        name,
        ', '.join(sorted(operations.OPERATIONS)),
        errors.did_you_mean(name, operations.OPERATIONS),
      )
    )
  _check_number(probability, 1, f'{where}: probability of {name}')
  _check_number(level, operations.MAX_LEVEL, f'{where}: level of {name}')
  return name, float(probability), float(level)


def _check_number(value: Any, largest: float, what: str) -> None:
  is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
  if not is_number or not 0 <= value <= largest:
    raise errors.ConfigError(
      f'{what} must be a number from 0 to {largest:g}, but is {value!r}.'
    )
