"""Translation of parameter names of April 2020 to the present ones.

Since then, what several blocks repeated (levels, classes, batch norm) moved to
one place. Old names are translated one by one, so files that mix both vintages
work too; each old name is reported once per text.
"""

import copy
import fnmatch
import logging
from typing import Any, Dict, List

from configs import base_config
from utils import errors

_LOGGER = logging.getLogger(__name__)

# Present key: (blocks that had it, name there); all values had to agree. A
# model has its own names of blocks for *.
_LEVEL_BLOCKS = ('anchor', 'fpn', 'nasfpn', 'spinenet', '*_head', 'postprocess')
_NORM_BLOCKS = ('resnet', 'spinenet', 'fpn', 'nasfpn', '*_head')
_MERGED = {
  'architecture.num_classes': (('*_head', '*_loss'), 'num_classes'),
  'architecture.use_bfloat16': (('*_parser',), 'use_bfloat16'),
  'architecture.min_level': (_LEVEL_BLOCKS, 'min_level'),
  'architecture.max_level': (_LEVEL_BLOCKS, 'max_level'),
  'batch_norm_activation.activation': (
    ('resnet', 'spinenet', '*_head'),
    'activation',
  ),
  **{
    'batch_norm_activation.' + name: (_NORM_BLOCKS, 'batch_norm.' + name)
    for name in (
      'batch_norm_momentum',
      'batch_norm_epsilon',
      'batch_norm_trainable',
      'use_sync_bn',
    )
  },
  **{
    'dropblock.' + name: (('resnet', 'nasfpn'), 'dropblock.' + name)
    for name in ('dropblock_keep_prob', 'dropblock_size')
  },
}
_CHOICES = {
  'resnet': 'architecture.backbone',
  'spinenet': 'architecture.backbone',
  'fpn': 'architecture.multilevel_features',
  'nasfpn': 'architecture.multilevel_features',
}

_SPINENET_KEYS = (
  'spinenet.filter_size_scale',
  'spinenet.block_repeats',
  'spinenet.resample_alpha',
  'spinenet.endpoints_num_filters',
)
_SPINENET_MODELS = {
  '49S': (0.65, 1, 0.5, 128),
  '49': (1.0, 1, 0.5, 256),
  '96': (1.0, 2, 0.5, 256),
  '143': (1.0, 3, 1.0, 256),
  '143l': (1.3, 3, 1.0, 256),
  '190': (1.3, 4, 1.0, 512),
}

_CHANGED_DEFAULTS = {
  'train.frozen_variable_prefix': base_config.RESNET_STEM,
  'eval.eval_samples': 5000,
  'enable_summary': True,
  'spinenet.init_drop_connect_rate': 0.2,
}

_ABSENT = object()


def _find(tree: Dict[str, Any], path: str) -> Any:
  """Returns the value at a dotted key, or `_ABSENT`."""
  for name in path.split('.'):
    if not isinstance(tree, dict) or name not in tree:
      return _ABSENT
    tree = tree[name]
  return tree


def _has(tree: Dict[str, Any], path: str) -> bool:
  return _find(tree, path) is not _ABSENT


def _remove(tree: Dict[str, Any], path: str) -> Any:
  """Removes a dotted key and the blocks that it leaves empty."""
  name, _, rest = path.partition('.')
  if not rest:
    return tree.pop(name)
  value = _remove(tree[name], rest)
  if not tree[name]:
    del tree[name]
  return value


def _in_words(values: Dict[str, Any]) -> str:
  return ', '.join(
    f'{name}={errors.shown(value)}' for name, value in values.items()
  )


class _Translation:
  """One text on its way from old names to new ones."""

  def __init__(self, changes: Dict[str, Any], current: Dict[str, Any]):
    self.changes = copy.deepcopy(changes)
    self._current = current
    self.found_old = False

  def effective(self, path: str, default: Any = None) -> Any:
    """Returns the value in the text, else the present one, else `default`."""
    for tree in (self.changes, self._current):
      value = _find(tree, path)
      if value is not _ABSENT:
        return value
    return default

  def blocks(self, pattern: str) -> List[str]:
    return fnmatch.filter(self._current, pattern)

  def is_old(self, old: str, new: str) -> bool:
    """Whether the text uses `old`, which the model knows as `new` only."""
    return (
      _has(self.changes, old)
      and not _has(self._current, old)
      and _has(self._current, new)
    )

  def in_use(self, path: str) -> bool:
    block = path.split('.')[0]
    return block not in _CHOICES or self.effective(_CHOICES[block]) == block

  def take(self, old: str, note: str) -> Any:
    """Removes an old key from the text, reports it, returns its value."""
    self.found_old = True
    _LOGGER.warning('Parameter %s is an old name: %s.', old, note)
    return _remove(self.changes, old)

  def put(self, new: str, values: Dict[str, Any]) -> None:
    """Sets a new key from {old key: value}; all of them have to agree."""
    values = dict(values)
    if not values:
      return
    if _has(self.changes, new):
      values[new] = _find(self.changes, new)
    first = next(iter(values.values()))
    if any(value != first for value in values.values()):
      raise errors.ConfigError(
        f'{new} is one value for the whole model now, but the old names '
        f'disagree: {_in_words(values)}. Keep one of them.'
      )
    block, name = new.split('.')
    present = self.changes.setdefault(block, {})
    # What is no block is refused when it is applied.
    if isinstance(present, dict):
      present[name] = first


def _translate_merged(text: _Translation) -> None:
  for new, (patterns, name) in _MERGED.items():
    blocks = [block for pattern in patterns for block in text.blocks(pattern)]
    _merge(text, [f'{block}.{name}' for block in blocks], new)
  for head in text.blocks('*_head'):
    for name in ('num_convs', 'num_filters'):
      _merge(text, [f'{head}.{head}_{name}'], head + '.' + name)


def _merge(text: _Translation, old_keys: List[str], new: str) -> None:
  values = {}
  for old in old_keys:
    if text.is_old(old, new):
      if text.in_use(old):
        values[old] = text.take(old, f'use {new}')
      else:
        text.take(old, f'ignored, its block is not in use; see {new}')
  text.put(new, values)


def _translate_autoaugment(text: _Translation, parser: str) -> None:
  new = parser + '.aug_policy'
  note = f'use {new}'
  present = text.effective(new, '')
  use_key = parser + '.use_autoaugment'
  name_key = parser + '.autoaugment_policy_name'
  used = [key for key in (use_key, name_key) if text.is_old(key, new)]
  is_on, name = bool(present), present or 'v0'
  if use_key in used:
    is_on = text.take(use_key, note)
    if not isinstance(is_on, bool):
      raise errors.ConfigError(
        f'{use_key} must be bool, but {errors.shown(is_on)} is '
        f'{type(is_on).__name__}.'
      )
  if name_key in used:
    name = text.take(name_key, note)
  if used:
    text.put(new, {' and '.join(used): name if is_on else ''})


def _translate_spinenet(text: _Translation) -> None:
  new = 'spinenet.model_id'
  used = [key for key in _SPINENET_KEYS if text.is_old(key, new)]
  if used:
    model = str(text.effective(new))
    present = _SPINENET_MODELS.get(model, _SPINENET_MODELS['49'])
    scales = dict(zip(_SPINENET_KEYS, present))
    for key in used:
      scales[key] = text.take(key, f'use {new}')
    numbers = tuple(scales.values())
    models = [name for name, n in _SPINENET_MODELS.items() if n == numbers]
    if models:
      text.put(new, {', '.join(used): models[0]})
    elif text.in_use(new):
      raise errors.ConfigError(
        f'No SpineNet has {_in_words(scales)}; known are '
        f'{_in_words(_SPINENET_MODELS)}.'
      )
  old = 'spinenet.block_specs'
  if text.is_old(old, new):
    specs = text.take(old, f'the blocks follow from {new}')
    if specs is not None and text.in_use(old):
      raise errors.ConfigError(
        f'{old} is not supported; choose a network by {new}.'
      )


def _translate_space_to_depth(text: _Translation) -> None:
  old = 'train.space_to_depth_block_size'
  new = 'architecture.space_to_depth_block_size'
  if not _has(text.changes, old) or text.effective(new) is None:
    return
  if not _has(text.changes, new):
    text.put(new, {old: text.take(old, f'use {new}')})
  elif _find(text.changes, old) in (1, _find(text.changes, new)):
    # Saved parameters list both names.
    _remove(text.changes, old)
  else:
    text.take(old, f'ignored, {new} is given too')


def translate(
  changes: Dict[str, Any], current: Dict[str, Any]
) -> Dict[str, Any]:
  """Returns `changes` with present names only.

  An old name is translated only if the model does not know it and knows what
  it became. Of names that stand in several blocks, those of the backbone and
  of the neck in use count.

  Args:
    changes: nested dict of new values.
    current: nested dict of the parameters that `changes` will be applied to.

  Raises:
    errors.ConfigError: old values that have no present counterpart, such as
      different batch norms in two blocks.
  """
  text = _Translation(changes, current)
  _translate_merged(text)
  for parser in text.blocks('*_parser'):
    _translate_autoaugment(text, parser)
  _translate_spinenet(text)
  for head in text.blocks('*_head'):
    old = head + '.anchors_per_location'
    if _find(text.changes, old) not in (None, _ABSENT):
      text.take(old, 'ignored, it follows from the block anchor')
  _translate_space_to_depth(text)
  moved = {
    key: value
    for key, value in _CHANGED_DEFAULTS.items()
    if not _has(text.changes, key) and _has(current, key)
  }
  if text.found_old and moved:
    _LOGGER.info(
      'Other defaults held with the old names; set these to get them back: %s',
      _in_words(moved),
    )
  return text.changes
