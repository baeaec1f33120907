"""From defaults, file, override text and flags to the parameters of a run."""

import copy
import json
import logging
import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

from configs import (
  factory,
  legacy_keys,
  limits,
  params_dict,
  text_overrides,
  yaml_loader,
)
from utils import errors, files

_LOGGER = logging.getLogger(__name__)

# Flags that set one key, whatever a file says, as soon as they are given.
_FLAG_KEYS = {
  'model_dir': 'model_dir',
  'use_tpu': 'use_tpu',
  'train_batch_size': 'train.train_batch_size',
  'train_steps': 'train.total_steps',
  'eval_batch_size': 'eval.eval_batch_size',
  'iterations_per_loop': 'train.iterations_per_loop',
  'num_cores': 'train.num_shards',
  'tpu': 'platform.tpu',
  'tpu_zone': 'platform.tpu_zone',
  'gcp_project': 'platform.gcp_project',
  'eval_master': 'platform.eval_master',
  'configure_tpu_version': 'platform.configure_tpu_version',
  'tpu_job_name': 'tpu_job_name',
}
_DATA_KEYS = (
  'train.train_file_pattern',
  'train.pre_parser_dataset.file_pattern',
  'eval.eval_file_pattern',
  'eval.val_json_file',
  'eval.label_map_file',
)
_PRECISIONS = ('float32', 'bfloat16')
FLAGS = (*_FLAG_KEYS, 'precision', 'skip_host_call', 'data_dir')

_NEEDS_TPU = (
  'architecture.use_bfloat16',
  # Only the order in memory differs, so nothing is lost without it.
  'train.transpose_input',
)
_TRAIN_ONLY = ('train.input_partition_dims', 'train.num_cores_per_replica')
_TRAIN_MODES = ('train', 'print_config', 'tpu_preflight')

_BACKBONES = ('resnet', 'spinenet', 'spinenet_mbconv')
_NECKS = ('fpn', 'nasfpn')
# Where a run happened is no part of what was run.
_NOT_SAVED = ('platform', 'tpu_job_name', 'train.num_shards')

_COMMENT_COLUMN = 60


class Resolved(NamedTuple):
  """The parameters of a run.

  Attributes:
    params: validated and locked.
    sources: {dotted key: where its value comes from}, one of 'default',
      'file', 'override', 'flag' and 'device'.
  """

  params: params_dict.ParamsDict
  sources: Dict[str, str]


def _nested(path: str, value: Any) -> Dict[str, Any]:
  for name in reversed(path.split('.')):
    value = {name: value}
  return value


def _leaf_paths(tree: Dict[str, Any], prefix: str = '') -> List[str]:
  paths = []
  for key, value in tree.items():
    path = prefix + key
    if isinstance(value, dict):
      paths.extend(_leaf_paths(value, path + '.'))
    else:
      paths.append(path)
  return paths


class _Resolution:
  """Parameters that remember who set them."""

  def __init__(self, params: params_dict.ParamsDict):
    self.params = params
    self.sources = {path: 'default' for path, _ in params.leaves()}

  def apply(self, changes: Dict[str, Any], source: str) -> None:
    self.params.override(changes, is_strict=True)
    self.sources.update((path, source) for path in _leaf_paths(changes))

  def set(self, path: str, value: Any, source: str) -> None:
    self.apply(_nested(path, value), source)

  def value(self, path: str) -> Any:
    value = self.params
    for name in path.split('.'):
      value = getattr(value, name)
    return value

  def force(self, path: str, value: Any, reason: str) -> None:
    """Sets what the device or the mode leaves no choice about."""
    old, source = self.value(path), self.sources[path]
    if old is None and value is False or old == value:
      return
    if source in ('override', 'flag'):
      _LOGGER.warning('%s=%r has no effect %s.', path, old, reason)
    self.set(path, value, 'device')


def _parse(name: str, text: Any) -> text_overrides.Parsed:
  try:
    return text_overrides.parse(text)
  except errors.ConfigError as error:
    raise type(error)('--{}: {}'.format(name, error)) from error


def _model_name(
  model: Optional[str], stages: List[Tuple[str, str, text_overrides.Parsed]]
) -> str:
  if model:
    # Whatever else is wrong with it, it has to exist.
    factory.declared_keys(model)
  given = None
  for _, name, parsed in stages:
    if parsed.values.get('type') is not None:
      given, origin = parsed.values['type'], '--' + name
      if parsed.form == 'file':
        # Programs find files that no flag names.
        origin = "'{}'".format(parsed.text)
  if given is not None and not isinstance(given, str):
    raise errors.ConfigError(
      '{}: type must be str, but {!r} is {}.'.format(
        origin, given, type(given).__name__
      )
    )
  if model and given and model != given:
    raise errors.ConfigError(
      '--model={} contradicts type: {!r} in {}.'.format(model, given, origin)
    )
  return model or given or 'retinanet'


def _select(
  params: params_dict.ParamsDict,
  stages: List[Tuple[str, str, text_overrides.Parsed]],
) -> Dict[str, Any]:
  """Returns present parameters with the architecture that will be chosen."""
  current = params.as_dict()
  for _, _, parsed in stages:
    chosen = parsed.values.get('architecture')
    if isinstance(chosen, dict):
      for key in ('backbone', 'multilevel_features'):
        if key in chosen:
          current['architecture'][key] = chosen[key]
  return current


def _with_data_dir(data_dir: str, patterns: str) -> str:
  return ','.join(
    pattern
    if os.path.isabs(pattern) or files.is_remote(pattern)
    else os.path.join(data_dir, pattern)
    for pattern in (part.strip() for part in patterns.split(','))
    if pattern
  )


def _apply_flags(resolution: _Resolution, flags: Dict[str, Any]) -> None:
  unknown = sorted(set(flags) - set(FLAGS))
  if unknown:
    raise ValueError('Unknown flags: {}.'.format(', '.join(unknown)))
  given = {name: value for name, value in flags.items() if value is not None}
  for name, path in _FLAG_KEYS.items():
    if name not in given:
      continue
    if name == 'num_cores' and given[name] == resolution.value(path):
      # Programs may give this flag a default of its own.
      continue
    try:
      resolution.set(path, given[name], 'flag')
    except errors.ConfigError as error:
      raise type(error)('--{}: {}'.format(name, error)) from error
  if 'use_tpu' not in given and resolution.sources['use_tpu'] == 'default':
    resolution.set('use_tpu', False, 'flag')
  if 'precision' in given:
    if given['precision'] not in _PRECISIONS:
      raise errors.ConfigError(
        '--precision={} is unknown; known are {}.'.format(
          given['precision'], ', '.join(_PRECISIONS)
        )
      )
    is_bfloat16 = given['precision'] == 'bfloat16'
    resolution.set('architecture.use_bfloat16', is_bfloat16, 'flag')
  if given.get('skip_host_call'):
    resolution.set('enable_summary', False, 'flag')
  if given.get('data_dir'):
    for path in _DATA_KEYS:
      old = resolution.value(path)
      new = _with_data_dir(given['data_dir'], old or '')
      if old and new != old:
        resolution.set(path, new, 'flag')


def _apply_device_rules(resolution: _Resolution, mode: str) -> None:
  if not resolution.params.use_tpu:
    if resolution.sources['enable_summary'] == 'default':
      # A TPU would wait for its host.
      resolution.set('enable_summary', True, 'device')
    for path in _NEEDS_TPU:
      resolution.force(path, False, 'without a TPU')
  if mode not in _TRAIN_MODES:
    for path in _TRAIN_ONLY:
      resolution.force(path, None, 'in mode {}'.format(mode))


def resolve(
  model: Optional[str] = None,
  config_file: Union[None, str, Dict[str, Any]] = None,
  params_override: Union[None, str, Dict[str, Any]] = None,
  flags: Optional[Dict[str, Any]] = None,
  mode: str = 'train',
) -> Resolved:
  """Returns the parameters of a run: defaults, file, override, flags.

  Args:
    model: name of the model; by default the `type` that the override or the
      file gives, else 'retinanet'.
    config_file: path of a file, or any other form of `text_overrides.parse`.
    params_override: any form of `text_overrides.parse`.
    flags: {name: value}, names as in `FLAGS`; None means that the flag was not
      given. A flag that was not given changes nothing, but for `use_tpu`, which
      is off unless a flag or a text turns it on.
    mode: what the program does; partitioning over TPU cores is for training.

  Raises:
    errors.ConfigError: unknown model, key or file, or a value of a wrong type
      or outside of `limits`.
  """
  stages = [
    ('file', 'config_file', _parse('config_file', config_file)),
    ('override', 'params_override', _parse('params_override', params_override)),
  ]
  params = factory.config_generator(_model_name(model, stages))
  resolution = _Resolution(params)
  for i, (source, name, parsed) in enumerate(stages):
    try:
      current = _select(params, stages[i:])
      resolution.apply(legacy_keys.translate(parsed.values, current), source)
    except errors.ConfigError as error:
      hint = parsed.hint()
      raise type(error)('--{}: {}{}'.format(name, error, hint)) from error
  _apply_flags(resolution, flags or {})
  _apply_device_rules(resolution, mode)
  params.validate()
  limits.check(params, factory.declared_keys(params.type))
  params.lock()
  return Resolved(params, resolution.sources)


def without_tpu(params: params_dict.ParamsDict) -> params_dict.ParamsDict:
  """Returns a locked copy for a part of a TPU's run that runs elsewhere."""
  params = params_dict.ParamsDict(params)
  for path in ('use_tpu', *_NEEDS_TPU):
    params.override(_nested(path, False), is_strict=True)
  for path in _TRAIN_ONLY:
    params.override(_nested(path, None), is_strict=True)
  params.lock()
  return params


def _leaf_text(key: str, value: Any) -> str:
  text = yaml_loader.dump({key: value}).rstrip('\n')
  if '\n' in text:
    # JSON is YAML too, and keeps line breaks inside of quotes.
    text = '{}: {}'.format(key, json.dumps(value))
  return text


def _lines(
  block: Dict[str, Any], sources: Dict[str, str], path: str = ''
) -> List[Tuple[str, str]]:
  """Returns (line of YAML, source or '')."""
  indent = '  ' * path.count('.')
  lines = []
  for key in sorted(block):
    value = block[key]
    if isinstance(value, dict) and value:
      lines.append((indent + key + ':', ''))
      lines.extend(_lines(value, sources, path + key + '.'))
    else:
      source = sources.get(path + key, 'default')
      lines.append((indent + _leaf_text(key, value), source))
  return lines


def to_yaml_with_sources(resolved: Resolved) -> str:
  """Returns the parameters as YAML, with the source of each as a comment."""
  lines = _lines(resolved.params.as_dict(), resolved.sources)
  widths = [len(line) for line, source in lines if source]
  column = min(max(widths, default=0), _COMMENT_COLUMN)
  return ''.join(
    '{}  # {}\n'.format(line.ljust(column), source) if source else line + '\n'
    for line, source in lines
  )


def _without(tree: Dict[str, Any], path: str) -> None:
  *blocks, leaf = path.split('.')
  for name in blocks:
    tree = tree.get(name, {})
  tree.pop(leaf, None)


def saved_params(params: params_dict.ParamsDict) -> Dict[str, Any]:
  """Returns what `params.yaml` holds: no unused block, nothing of the machine.

  Parsers, backbones and necks that the architecture does not name are left out.
  """
  saved = copy.deepcopy(params.as_dict())
  architecture = saved.get('architecture', {})
  parsers = [block for block in saved if block.endswith('_parser')]
  for kind, blocks in (
    ('parser', parsers),
    ('backbone', _BACKBONES),
    ('multilevel_features', _NECKS),
  ):
    for block in blocks:
      if block != architecture.get(kind):
        saved.pop(block, None)
  for path in _NOT_SAVED:
    _without(saved, path)
  return saved


def save_params(
  resolved_params: params_dict.ParamsDict, model_dir: Optional[str]
) -> Optional[str]:
  """Writes `params.yaml`, which works as --config_file.

  Args:
    resolved_params: parameters of the run.
    model_dir: local directory or bucket; made if needed. Nothing is written if
      it is empty.

  Returns:
    The path of the file, or None.
  """
  if not model_dir:
    return None
  path = os.path.join(model_dir, 'params.yaml')
  files.write_text(path, yaml_loader.dump(saved_params(resolved_params)))
  return path
