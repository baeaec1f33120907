"""Parameters of a run: defaults, file, override text and flags."""

import logging
import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

from configs import (
  factory,
  legacy_keys,
  linear_scaling,
  params_dict,
  text_overrides,
  value_check,
  yaml_loader,
)
from utils import errors, files

_LOGGER = logging.getLogger(__name__)

# Parameters of a run, beside its checkpoints.
FILE_NAME = 'params.yaml'

# What each flag sets, whatever a file says, as soon as it is given.
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
  'precision': 'architecture.use_bfloat16',
  'skip_host_call': 'enable_summary',
}
_DATA_KEYS = (
  'train.train_file_pattern',
  'train.pre_parser_dataset.file_pattern',
  'eval.eval_file_pattern',
  'eval.val_json_file',
  'eval.label_map_file',
)
FLAGS = (*_FLAG_KEYS, 'data_dir', 'scale_learning_rate')
_PRECISIONS = ('float32', 'bfloat16')

_NEEDS_TPU = (
  'architecture.use_bfloat16',
  # Only the order in memory differs, so nothing is lost without it.
  'train.transpose_input',
)
_TRAIN_ONLY = ('train.input_partition_dims', 'train.num_cores_per_replica')
_TRAIN_MODES = ('train', 'print_config', 'tpu_preflight')

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


# The name of a flag that holds parameters, and what was read from it.
_Texts = List[Tuple[str, text_overrides.Parsed]]


class _Resolution:
  """Parameters that remember who set them."""

  def __init__(self, params: params_dict.ParamsDict):
    self.params = params
    self.sources = {path: 'default' for path, _ in params.leaves()}

  def apply(self, changes: Dict[str, Any], source: str) -> None:
    self.params.override(changes, is_strict=True)
    for path, _ in params_dict.ParamsDict(changes).leaves():
      self.sources[path] = source

  def apply_text(self, changes: Dict[str, Any], source: str) -> None:
    """As `apply`; rates are for the batch that the text says, or unknown."""
    self.apply(changes, source)
    given = dict(params_dict.ParamsDict(changes).leaves())
    base = linear_scaling.BASE
    if base not in given and not given.keys().isdisjoint(linear_scaling.RATES):
      self.set(base, None, source)

  def set(self, path: str, value: Any, source: str) -> None:
    self.apply(params_dict.nested({path: value}), source)

  def force(self, path: str, value: Any, reason: str) -> None:
    """Sets what the device or the mode leaves no choice about."""
    old, source = self.params.lookup(path), self.sources[path]
    if old is None and value is False or old == value:
      return
    if source in ('override', 'flag'):
      _LOGGER.warning('%s=%r has no effect %s.', path, old, reason)
    self.set(path, value, 'device')


def _model_name(model: Optional[str], texts: _Texts) -> str:
  if model:
    # Whatever else is wrong with it, it has to exist.
    factory.declared_keys(model)
  given = None
  for name, parsed in texts:
    if parsed.values.get('type') is not None:
      # Programs find files that no flag names.
      is_file = parsed.form == 'file'
      origin = f"'{parsed.text}'" if is_file else '--' + name
      given = parsed.values['type']
  if given is not None and not isinstance(given, str):
    with errors.naming(f'{origin}: '):
      raise value_check.type_error('type', given, 'str')
  if given:
    with errors.naming(f'{origin}: '):
      factory.declared_keys(given)
  if model and given and not factory.have_same_keys(model, given):
    raise errors.ConfigError(
      f'--model={model} contradicts type: {given!r} in {origin}.'
    )
  return given or model or factory.default_model()


def _with_choices(
  params: params_dict.ParamsDict, texts: _Texts
) -> Dict[str, Any]:
  """Returns present parameters with the architecture that will be chosen."""
  current = params.as_dict()
  for _, parsed in texts:
    chosen = parsed.values.get('architecture')
    if isinstance(chosen, dict):
      current['architecture'].update(
        (key, chosen[key])
        for key in ('backbone', 'multilevel_features')
        if key in chosen
      )
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
  given = {name: value for name, value in flags.items() if value is not None}
  data_dir = given.pop('data_dir', None)
  given.pop('scale_learning_rate', None)
  params = resolution.params
  if not given.get('skip_host_call', True):
    del given['skip_host_call']
  for name, value in given.items():
    if name == 'skip_host_call':
      value = False
    elif name == 'precision':
      if value not in _PRECISIONS:
        raise errors.ConfigError(
          '--precision={} is unknown; known are {}.'.format(
            value, ', '.join(_PRECISIONS)
          )
        )
      value = value == 'bfloat16'
    with errors.naming(f'--{name}: '):
      resolution.set(_FLAG_KEYS[name], value, 'flag')
  if resolution.sources['use_tpu'] == 'default':
    resolution.set('use_tpu', False, 'flag')
  values = dict(params.leaves())
  for path in _DATA_KEYS if data_dir else ():
    old = values.get(path)
    new = _with_data_dir(data_dir, old or '')
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
      resolution.force(path, None, f'in mode {mode}')


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
      file gives, else `factory.default_model`.
    config_file: path of a file, or any other form of `text_overrides.parse`.
    params_override: any form of `text_overrides.parse`.
    flags: {name: value}, names as in `FLAGS`; None means that the flag was not
      given. A flag that was not given changes nothing, but for `use_tpu`, which
      is off unless a flag or a text turns it on.
    mode: what the program does; partitioning over TPU cores is for training.

  Raises:
    errors.ConfigError: unknown model, key or file, or a value that cannot work.
  """
  texts = []
  for name, source in (
    ('config_file', config_file),
    ('params_override', params_override),
  ):
    with errors.naming(f'--{name}: '):
      texts.append((name, text_overrides.parse(source)))
  params = factory.config_generator(_model_name(model, texts))
  resolution = _Resolution(params)
  for i, (name, parsed) in enumerate(texts):
    current = _with_choices(params, texts[i:])
    with errors.naming(f'--{name}: ', parsed.hint()):
      changes = legacy_keys.translate(parsed.values, current)
      resolution.apply_text(changes, name.rpartition('_')[2])
  _apply_flags(resolution, flags or {})
  _apply_device_rules(resolution, mode)
  factory.check(params)
  if flags and flags.get('scale_learning_rate'):
    scaled = linear_scaling.scaled(dict(params.leaves()))
    for path, value in scaled.items():
      # --train_steps says how long it is.
      if resolution.sources[path] != 'flag':
        resolution.set(path, value, 'flag')
  params.lock()
  return Resolved(params, resolution.sources)


def without_tpu(params: params_dict.ParamsDict) -> params_dict.ParamsDict:
  """Returns a locked copy for a part of a TPU's run that runs elsewhere."""
  off = dict.fromkeys(('use_tpu', *_NEEDS_TPU), False)
  params = params_dict.with_overrides(
    params, {**off, **dict.fromkeys(_TRAIN_ONLY)}
  )
  params.lock()
  return params


def to_yaml_with_sources(resolved: Resolved) -> str:
  """Returns the parameters as YAML, with the source of each as a comment."""
  return yaml_loader.dump_with_comments(
    resolved.params.as_dict(), resolved.sources, _COMMENT_COLUMN
  )


def saved_params(params: params_dict.ParamsDict) -> Dict[str, Any]:
  """Returns what `params.yaml` holds: no unused block, nothing of the machine.

  Parsers, backbones and necks that the architecture does not name are left out.
  """
  saved = params.as_dict()
  for key in factory.declared_keys(params.type):
    block = key.path.split('.')[0]
    if key.chosen_by and params.lookup(key.chosen_by) != block:
      saved.pop(block, None)
  # Where a run happened is no part of what was run.
  del saved['platform'], saved['tpu_job_name'], saved['train']['num_shards']
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
  path = os.path.join(model_dir, FILE_NAME)
  files.write_text(path, yaml_loader.dump(saved_params(resolved_params)))
  return path
