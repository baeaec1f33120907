"""Every textual form of parameters, with its odd values."""

import json
import os
import subprocess
import sys

import pytest

from configs import factory, params_dict, text_overrides
from utils import errors

_ROOT = os.path.dirname(
  os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
)


def _value(text):
  return text_overrides.parse('a.b=' + text).values['a']['b']


@pytest.mark.parametrize(
  'text, value',
  [
    ('1', 1),
    ('-3', -3),
    ('1.5', 1.5),
    ('true', True),
    ('True', True),
    ('yes', True),
    ('off', False),
    ('null', None),
    ('~', None),
    ('', None),
    ('None', 'None'),
    ('010', 8),
    ('0x10', 16),
    ('1_000', 1000),
    ('12:30', 750),
    ('1e-4', 1e-4),
    ('1e5', 1e5),
    ('-1e-3', -1e-3),
    ('12e03', 12000.0),
    ('1.5e-3', 1.5e-3),
    ('1.5e3', 1500.0),
    ('.5', 0.5),
    ('-.5', -0.5),
    ('1.', 1.0),
    ('1.e3', '1.e3'),
    ('e5', 'e5'),
    ('1e', '1e'),
    ('gs://bucket/x*', 'gs://bucket/x*'),
    ('/data/train-*', '/data/train-*'),
    ('step', 'step'),
    ('swish', 'swish'),
    (':x', ':x'),
    ("s'quoted", "s'quoted"),
    ("'49'", '49'),
    ('"49"', '49'),
    ("'a,b=c'", 'a,b=c'),
    ("'*x'", '*x'),
    ('[]', []),
    ('[1, 2.5, x]', [1, 2.5, 'x']),
    ('[1e-3,1e-4]', [1e-3, 1e-4]),
    ('[gs://x,gs://y]', ['gs://x', 'gs://y']),
    ('.*(kernel|weight):0$', '.*(kernel|weight):0$'),
    ('cosine', 'cosine'),
  ],
)
def test_pair_values(text, value):
  got = _value(text)
  assert got == value
  assert type(got) is type(value)


@pytest.mark.parametrize(
  'text, expected',
  [
    ('a=1', {'a': 1}),
    ('a=1,b=2', {'a': 1, 'b': 2}),
    ('a = 1,   b =2', {'a': 1, 'b': 2}),
    ('a=1,b=2,', {'a': 1, 'b': 2}),
    ('a=1, ', {'a': 1}),
    ('a=,b=2', {'a': None, 'b': 2}),
    ('a.x=1,b=2,a.y=3', {'a': {'x': 1, 'y': 3}, 'b': 2}),
    (
      'a.x.z=1,a.x.w=[3,4],a.y=v',
      {'a': {'x': {'z': 1, 'w': [3, 4]}, 'y': 'v'}},
    ),
    ('a.x=1,a.x=2', {'a': {'x': 2}}),
    ("a='x, y',b=z", {'a': 'x, y', 'b': 'z'}),
    ('p=gs://b/x*,q=/y', {'p': 'gs://b/x*', 'q': '/y'}),
  ],
)
def test_pairs(text, expected):
  parsed = text_overrides.parse(text)
  assert parsed.values == expected
  assert parsed.form == 'csv'


@pytest.mark.parametrize(
  'text',
  [
    'a:\n  b: 1e-4\n  c: [1, x]\n',
    '{a: {b: 1e-4, c: [1, x]}}',
    '{"a": {"b": 1e-4, "c": [1, "x"]}}',
    '  a: {b: 1e-4, c: [1, x]}',
  ],
)
def test_yaml_and_json(text):
  parsed = text_overrides.parse(text)
  assert parsed.values == {'a': {'b': 1e-4, 'c': [1, 'x']}}
  assert parsed.form == 'yaml'


@pytest.mark.parametrize('name', ['p.yaml', 'lr=0.1.yaml', 'a=1', 'q.json'])
def test_files(tmp_path, name):
  path = tmp_path / name
  path.write_text('{"a": {"b": 1e-4, "c": 1e5}}')
  parsed = text_overrides.parse(str(path))
  assert parsed.values == {'a': {'b': 1e-4, 'c': 1e5}}
  assert parsed.form == 'file'


def test_file_in_the_working_directory_wins_over_pairs(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'lr=0.1.yaml').write_text('a: 2')
  assert text_overrides.parse('lr=0.1.yaml').values == {'a': 2}


def test_file_with_python_tuple(tmp_path):
  path = tmp_path / 'p.yaml'
  path.write_text('a: !!python/tuple [1, 2]\n')
  assert list(text_overrides.read_file(str(path))['a']) == [1, 2]


def test_file_cannot_run_code(tmp_path):
  path = tmp_path / 'p.yaml'
  path.write_text('a: !!python/object/apply:os.getcwd []\n')
  with pytest.raises(errors.ConfigError, match='p.yaml'):
    text_overrides.read_file(str(path))


@pytest.mark.parametrize('nothing', ['', None, {}])
def test_nothing(nothing):
  params = factory.config_generator('retinanet')
  before = params.as_dict()
  got = params_dict.override_params_dict(params, nothing, is_strict=True)
  assert got is params
  assert params.as_dict() == before


def test_empty_file(tmp_path):
  path = tmp_path / 'p.yaml'
  path.write_text('# only a comment\n')
  assert text_overrides.parse(str(path)).values == {}


def test_dict_is_copied():
  source = {'a': {'b': [1]}}
  text_overrides.parse(source).values['a']['b'].append(2)
  assert source == {'a': {'b': [1]}}


def test_lists_in_lists():
  parsed = text_overrides.parse("a=[[[x, .6, 4], ['y', 1e-2, 0]], []],b=[[2]]")
  assert parsed.values == {
    'a': [[['x', 0.6, 4], ['y', 0.01, 0]], []],
    'b': [[2]],
  }


@pytest.mark.parametrize('source', [3, ['a=1'], True])
def test_other_types_are_value_errors(source):
  with pytest.raises(ValueError, match='dict or text'):
    text_overrides.parse(source)


@pytest.mark.parametrize(
  'text, parts',
  [
    ('a=1,,b=2', ['key=value', 'character 5', 'As YAML', 'no such file']),
    ('a=1,b', ["'b' at character 5 is not key=value"]),
    (' a=1', ['character 1', 'is not key=value']),
    ('1a=2', ['is not key=value']),
    ('a=[1,[2]', ['is not key=value']),
    ('a=[[[[1]]]]', ['is not key=value']),
    ('a=*x', ["quote the value: a='...'"]),
    ('a={x: 1', ['quote the value']),
    ('a..b=1', ["'a..b' has an empty part"]),
    ('a.=1', ['has an empty part']),
    ('a=1,a.b=2', ['both a value and keys']),
    ('a.b=2,a=1', ['both a value and keys']),
    ('{a: 1', ['As YAML', 'line 1']),
    ('nosuch/file.yaml', ["'nosuch/file.yaml'", 'No such file']),
    ('/nosuch', ["'/nosuch'", 'No such file']),
    ('runs/lr=0.1/p.yaml', ['runs/lr=0.1/p.yaml', 'no such file']),
    ('- a\n- b', ['It is list instead of a mapping']),
  ],
)
def test_unreadable_text_says_what_was_tried(text, parts):
  with pytest.raises(errors.ConfigError) as info:
    text_overrides.parse(text)
  for part in parts:
    assert part in str(info.value)


def test_path_that_reads_as_a_pair_is_explained():
  params = factory.config_generator('retinanet')
  with pytest.raises(errors.UnknownKeyError) as info:
    params_dict.override_params_dict(params, 'lr=0.1/p.yaml', is_strict=True)
  assert 'Unknown parameter lr' in str(info.value)
  assert 'no file has this name' in str(info.value)


def test_dots_without_an_equals_sign():
  params = factory.config_generator('retinanet')
  with pytest.raises(errors.UnknownKeyError, match='train.total_steps=VALUE'):
    params_dict.override_params_dict(params, 'train.total_steps: 4', True)


@pytest.mark.parametrize(
  'content, part',
  [('- 1\n', 'is list'), ('text', 'is str'), ('a: [', 'Not valid YAML')],
)
def test_file_without_mapping_is_named(tmp_path, content, part):
  path = tmp_path / 'broken.yaml'
  path.write_text(content)
  with pytest.raises(errors.ConfigError) as info:
    text_overrides.parse(str(path))
  assert 'broken.yaml' in str(info.value)
  assert part in str(info.value)


def test_missing_bucket_file_is_named(monkeypatch):
  from utils import files

  class _Error(Exception):
    pass

  class _File:
    def GFile(self, path, mode):
      raise _Error('not found')

  monkeypatch.setattr(files, '_gfile', lambda: (_File(), _Error))
  with pytest.raises(errors.ConfigError, match='gs://bucket/p.yaml'):
    text_overrides.parse('gs://bucket/p.yaml')


def test_scientific_notation_is_a_float_from_every_source(tmp_path):
  path = tmp_path / 'p.yaml'
  path.write_text('train:\n  l2_weight_decay: 1e-5\n')
  for source in (
    'train.l2_weight_decay=1e-5',
    'train: {l2_weight_decay: 1e-5}',
    json.dumps({'train': {'l2_weight_decay': 1e-5}}),
    {'train': {'l2_weight_decay': 1e-5}},
    str(path),
  ):
    params = factory.config_generator('retinanet')
    params_dict.override_params_dict(params, source, is_strict=True)
    assert params.train.l2_weight_decay == 1e-5
  read = params_dict.read_yaml_to_params_dict(str(path))
  assert read.train.l2_weight_decay == 1e-5


def test_local_parameters_do_not_load_tensorflow(tmp_path):
  path = tmp_path / 'p.yaml'
  path.write_text('train: {total_steps: 5}')
  subprocess.run(
    [
      sys.executable,
      '-c',
      'import sys\n'
      'from configs import resolver\n'
      'resolved = resolver.resolve(config_file=sys.argv[1])\n'
      'resolver.save_params(resolved.params, sys.argv[2])\n'
      "assert 'tensorflow' not in sys.modules\n",
      str(path),
      str(tmp_path),
    ],
    check=True,
    cwd=_ROOT,
  )


def test_urls_go_through_the_file_system_of_tensorflow(tmp_path):
  url = f'file://{tmp_path}/sub/p.yaml'
  params_dict.save_params_dict_to_yaml(
    params_dict.ParamsDict({'a': {'b': 1e-4}}), url
  )
  assert os.listdir(str(tmp_path / 'sub')) == ['p.yaml']
  parsed = text_overrides.parse(url)
  assert (parsed.values, parsed.form) == ({'a': {'b': 1e-4}}, 'file')
  with pytest.raises(errors.ConfigError, match='nosuch.yaml'):
    text_overrides.parse(f'file://{tmp_path}/nosuch.yaml')
