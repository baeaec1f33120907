"""Default parameters by the name of a model."""

from typing import Any, List, Sequence

from configs import keys, params_dict
from configs.models import retinanet as retinanet_config
from utils import registry

_MODELS = registry.Registry('model')
_MODELS.register('retinanet')(retinanet_config.KEYS)


def model_names() -> List[str]:
  return _MODELS.names()


def declared_keys(model: str) -> Sequence[keys.Key]:
  """Returns the declarations (default, kind, meaning) of a model's keys."""
  return _MODELS.get(model)


def config_generator(model: str) -> params_dict.ParamsDict:
  """Returns a fresh ParamsDict of a model's defaults.

  Raises:
    errors.ConfigError: unknown model; the known ones are named.
  """
  return keys.build(declared_keys(model))


def parser_settings(params: Any) -> params_dict.ParamsDict:
  """Returns the block of the input parser that `architecture.parser` names."""
  return getattr(params, params.architecture.parser)
