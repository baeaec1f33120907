"""Learning rates and steps for another batch size (arXiv:1706.02677)."""

from typing import Any, Callable, Dict

from utils import errors

BASE = 'train.learning_rate.base_batch_size'
_BATCH = 'train.train_batch_size'
RATES = (
  'train.learning_rate.warmup_learning_rate',
  'train.learning_rate.init_learning_rate',
  'train.learning_rate.learning_rate_levels',
)
_STEPS = (
  'train.learning_rate.warmup_steps',
  'train.learning_rate.learning_rate_steps',
  'train.total_steps',
  'eval.num_steps_per_eval',
)


def scaled(values: Dict[str, Any]) -> Dict[str, Any]:
  """Returns what changes so that rates fit the batch size, by dotted key.

  Rates grow in proportion to the batch, and steps shrink.

  Args:
    values: by dotted key.

  Raises:
    ConfigError: the batch size that the rates were made for is not known.
  """
  base, batch = values[BASE], values[_BATCH]
  if base is None:
    raise errors.ConfigError(
      f'--scale_learning_rate: {BASE} is null, since the rates come from a '
      'text without it. Say there which batch size they were made for.'
    )
  changes: Dict[str, Any] = {BASE: batch}
  if base == batch:
    return changes
  ratio = batch / base
  for path in RATES:
    changes[path] = _each(values[path], lambda x: float(f'{x * ratio:.6g}'))
  for path in _STEPS:
    changes[path] = _each(
      values[path], lambda x: x and max(round(x / ratio), 1)
    )
  return changes


def _each(value: Any, function: Callable[[Any], Any]) -> Any:
  return [*map(function, value)] if isinstance(value, list) else function(value)
