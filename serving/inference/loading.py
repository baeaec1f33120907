"""The detector that the flags of a program name."""

from typing import Optional, Tuple

from configs import resolver
from modeling import checkpoint as checkpoint_lib
from serving.predictors import checkpoint, exported, predictor
from utils import errors

# Flags that say something about one of the two alone.
_OF_EXPORTS = ('format', 'variant')
_OF_CHECKPOINTS = ('model', 'config_file', 'params_override', 'image_size')


def load(
  checkpoint_path: str,
  saved_model_dir: str,
  format: str,
  variant: str,
  model: Optional[str],
  config_file: str,
  params_override: str,
  image_size: str,
) -> predictor.Predictor:
  """Loads a checkpoint or an export.

  Args are named as the flags of inference.py; '' where a flag is not given.

  Raises:
    ConfigError: not exactly one of the two is named, or a flag does not belong
      to it.
    UserError: it cannot be loaded.
  """
  given = dict(locals())
  if bool(checkpoint_path) == bool(saved_model_dir):
    raise errors.ConfigError(
      'Give one of --checkpoint_path and --saved_model_dir, not {}.'.format(
        'both' if checkpoint_path else 'neither'
      )
    )
  chosen, others = 'checkpoint_path', _OF_EXPORTS
  if saved_model_dir:
    chosen, others = 'saved_model_dir', _OF_CHECKPOINTS
  for flag in others:
    if given[flag]:
      raise errors.ConfigError(
        f'--{flag}={given[flag]} has no effect with --{chosen}. Leave it out.'
      )
  if saved_model_dir:
    return exported.load(saved_model_dir, format or None, variant)
  size = _size(image_size) if image_size else None
  prefix = checkpoint_lib.resolve_checkpoint(checkpoint_path)
  resolved = resolver.resolve(
    model=model,
    config_file=config_file or checkpoint_lib.config_beside(prefix, model),
    params_override=params_override,
    flags={'use_tpu': False},
    mode='export',
  )
  return checkpoint.CheckpointPredictor(prefix, resolved.params, size)


def _size(text: str) -> Tuple[int, int]:
  try:
    sides = [int(side) for side in text.split(',')]
    if len(sides) > 2 or min(sides) < 1:
      raise ValueError
  except ValueError:
    raise errors.ConfigError(
      f"--image_size={text} has to be 'height,width' in pixels or one number "
      'for both.'
    ) from None
  return sides[0], sides[-1]
