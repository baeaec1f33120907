"""Declarations of the models: parameters, defaults, values that fit."""

from typing import Any, Dict, List, Sequence

from configs import models, params_dict, value_check
from configs.keys import Key
from utils import discovery, errors, registry

_MODELS = registry.Registry('model')
for _name, _module in discovery.import_submodules(
  models.__path__, models.__name__
).items():
  _MODELS.register(_name)(_module)


def model_names() -> List[str]:
  return _MODELS.names()


def default_model() -> str:
  """Returns the model that a config without a `type` means."""
  return next(
    name
    for name in model_names()
    if getattr(_MODELS.get(name), 'IS_DEFAULT', False)
  )


def declared_keys(model: str) -> Sequence[Key]:
  """Returns the declarations of a model's keys.

  Raises:
    errors.ConfigError: unknown model; the known ones are named.
  """
  module = _MODELS.get(model)
  parser = 'input parser, and the block of its parameters'
  scored = '{} (the losses alone)'.format(
    ', '.join(dict.fromkeys((*module.EVAL_TYPES, 'customized')))
  )
  keys = (
    Key('type', model, 'which model is built'),
    Key('architecture.parser', module.PARSERS[0], parser),
    Key('eval.type', module.EVAL_TYPES[0], scored),
    *module.KEYS,
  )
  return tuple({key.path: key for key in keys}.values())


def have_same_keys(model: str, other: str) -> bool:
  """Whether a model and another one share their keys.

  The `type` of a config then says which of them is meant.
  """
  return _MODELS.get(model).KEYS is _MODELS.get(other).KEYS


def eval_types(model: str) -> Sequence[str]:
  """Returns the values of `eval.type` that score what a model predicts."""
  return _MODELS.get(model).EVAL_TYPES


def config_generator(model: str) -> params_dict.ParamsDict:
  """Returns a fresh ParamsDict of a model's defaults.

  Raises:
    errors.ConfigError: unknown model; the known ones are named.
  """
  keys = declared_keys(model)
  defaults: Dict[str, Any] = {}
  for key in keys:
    *blocks, leaf = key.path.split('.')
    block = defaults
    for name in blocks:
      block = block.setdefault(name, {})
    block[leaf] = key.default
  kinds = {key.path: value_check.kind(key) for key in keys}
  return params_dict.ParamsDict(defaults, kinds=kinds)


def check(params: params_dict.ParamsDict) -> None:
  """Raises ConfigError for the first value that cannot work.

  Args:
    params: of a model, whole; each value of its kind.
  """
  module = _MODELS.get(params.type)
  value_check.check(dict(params.leaves()), declared_keys(params.type))
  parser = params.architecture.parser
  if parser not in module.PARSERS:
    raise errors.ConfigError(
      'architecture.parser: {} is unknown; {} has {}.'.format(
        errors.shown(parser), params.type, ', '.join(module.PARSERS)
      )
    )
  for restriction in module.RESTRICTIONS:
    problem = restriction(params)
    if problem:
      raise errors.ConfigError(problem)


def parser_settings(params: Any) -> params_dict.ParamsDict:
  """Returns the block of the input parser that `architecture.parser` names."""
  return getattr(params, params.architecture.parser)
