"""Damaged parameters, as dicts, texts and files."""

import json

import yaml
from hypothesis import strategies as st

from configs import factory, resolver, value_check
from tests import mutations
from tests.configs import april_2020
from utils import errors

_DEFAULTS = {
  name: factory.config_generator(name).as_dict()
  for name in factory.model_names()
}
_KEYS = {
  key.path: key
  for name in factory.model_names()
  for key in factory.declared_keys(name)
}
_OLD = yaml.safe_load(april_2020.spinenet(2, 0.5))
_PIECES = st.sampled_from(
  ['[', ']', '{', '}', ': ', '- ', '? ', '&a ', '*a', '<<: *a', '"', "'"]
  + ['!!int ', '!!set ', '!!timestamp ', '\0', '\ufeff', '\ud800', '\x85']
  + ['1e400', '.inf', '9' * 5000, '٣', '0001-01-01 00:00:00 +23:59', '12:30']
  + ['null', '1: 2', '_locked: 1', 'train', 'a.b=1', '[' * 99, ',', '|', '%']
)
_OTHER_KEYS = st.sampled_from(
  [
    'train',
    'train.',
    '.train',
    'train.total_step',
    'eval.type.x',
    'x',
    '_values',
  ]
  + ['train.learning_rate', 'architecture', 'as_dict', 'train.override', '1']
  + ['retinanet_head.num_classes', 'fpn.batch_norm.batch_norm_epsilon']
  + ['retinanet_parser.use_autoaugment', 'spinenet.block_repeats']
  + ['spinenet.block_specs', 'train.space_to_depth_block_size']
  + ['retinanet_parser.autoaugment_policy_name', 'spinenet.batch_norm']
)
_OF_KIND = {
  'bool': st.booleans(),
  'int': st.sampled_from([0, 1, 2, 3, 8, 100, 2**31 - 1, 2**31, -1]),
  'float': st.floats(width=32) | st.sampled_from([0, 1, 0.1, 1e-4, 1e5]),
  'str': st.text(max_size=6)
  | st.sampled_from(
    ['', 'v0', 'step', 'relu', '😀', '1e-4', 'a,b', "it's", ' ']
  ),
  'list of int': st.lists(st.integers(-1, 2**31), max_size=4),
  'list of float': st.lists(st.floats(width=32), max_size=4),
}
_OF_KIND['list'] = _OF_KIND['list of int'] | st.just([[1, 1, 1, 2], 'None'])
_OF_KIND['str or list'] = _OF_KIND['str'] | st.lists(
  st.lists(
    st.tuples(_OF_KIND['str'], st.floats(0, 1), st.integers(0, 11)).map(list),
    max_size=2,
  ),
  max_size=2,
)


@st.composite
def _items(draw):
  """{dotted key: value}, most of them right."""
  items = {}
  for _ in range(draw(st.integers(1, 4))):
    key = draw(st.sampled_from(sorted(_KEYS)))
    values = _OF_KIND[value_check.kind(_KEYS[key])] | st.just(
      _KEYS[key].default
    )
    if draw(st.integers(0, 4)) == 0:
      values = mutations.VALUES
    if draw(st.integers(0, 9)) == 0:
      key = draw(_OTHER_KEYS)
    items[key] = draw(values)
  if draw(st.booleans()):
    items['type'] = draw(st.sampled_from(sorted(_DEFAULTS)))
  return items


def _nested(items):
  nested = {}
  for path, value in items.items():
    *blocks, leaf = path.split('.')
    block = nested
    for name in blocks:
      if not isinstance(block.get(name), dict):
        block[name] = {}
      block = block[name]
    block[leaf] = value
  return nested


def _csv(items):
  return ','.join(f'{key}={json.dumps(value)}' for key, value in items.items())


_DOCUMENTS = st.one_of(
  _items().map(_nested),
  st.sampled_from([_OLD, *_DEFAULTS.values()]).flatmap(mutations.documents),
)


def _dump(document, flow):
  return yaml.safe_dump(document, allow_unicode=True, default_flow_style=flow)


_TEXTS = st.one_of(
  _items().map(_csv),
  _DOCUMENTS.map(json.dumps),
  st.builds(_dump, _DOCUMENTS, st.sampled_from([None, True, False])),
)
_FLAGS = st.dictionaries(
  st.sampled_from(resolver.FLAGS),
  mutations.TEXTS | st.integers() | st.booleans() | st.none(),
  max_size=2,
) | st.just({})


def _check(resolved, folder):
  printed = resolver.to_yaml_with_sources(resolved)
  again = resolver.resolve(config_file=printed).params
  assert again.as_dict() == resolved.params.as_dict()
  path = resolver.save_params(resolved.params, str(folder))
  again = resolver.resolve(config_file=path).params
  assert resolver.saved_params(again) == resolver.saved_params(resolved.params)


def _leaves(document, path=''):
  for key, value in document.items():
    if isinstance(value, dict):
      yield from _leaves(value, f'{path}{key}.')
    else:
      yield path + key, value


def _resolve(folder, given=None, **kwargs):
  """Resolves it; what was given is there and can be written and read."""
  resolved = mutations.attempt(lambda: resolver.resolve(**kwargs))
  if isinstance(resolved, errors.UserError):
    return
  _check(resolved, folder)
  values = dict(resolved.params.leaves())
  for path, value in _leaves(given or {}):
    # Old names have become others, and of JSON NaN is no number.
    is_set = resolved.sources.get(path) in ('override', 'file')
    if is_set and repr(value) not in ('nan', 'inf', '-inf'):
      assert (values[path], type(values[path])) == (value, type(value)), path


@mutations.mutated(_items())
def test_pairs(items, tmp_path):
  _resolve(tmp_path, _nested(items), params_override=_csv(items))


@mutations.mutated(
  _DOCUMENTS,
  [
    {'architecture': None, 'anchor': {'min_level': 3}},
    {'spinenet': {'model_id': [], 'block_repeats': 2}},
    {'spinenet': {'block_repeats': [2]}},
    {'type': 'a' * 5000},
    {'model_dir': 'a\0b'},
  ],
)
def test_json(document, tmp_path):
  _resolve(tmp_path, document, params_override=json.dumps(document))


@mutations.mutated(
  st.tuples(_TEXTS, _TEXTS | st.just(''), _FLAGS, st.booleans()),
  [('', '', {'model_dir': '\udcff'}, False)],
)
def test_texts_and_flags(example, tmp_path):
  text, other, flags, is_file = example
  kwargs = {'config_file': other, 'params_override': text}
  if is_file:
    kwargs = {'config_file': text, 'params_override': other}
  _resolve(tmp_path, flags=flags, **kwargs)


@mutations.mutated(
  _TEXTS.flatmap(lambda text: mutations.texts(text, '\n:,={}[]"', _PIECES)),
  ['anchor.anchor_size=0\x0c=null'],
)
def test_damaged_texts(text, tmp_path):
  _resolve(tmp_path, params_override=text)


@mutations.mutated(mutations.encoded(_TEXTS))
def test_files(content, tmp_path):
  path = tmp_path / 'config.yaml'
  path.write_bytes(content)
  _resolve(tmp_path, config_file=str(path))
