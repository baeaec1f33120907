"""The parameter container: access, overrides, kinds, locks, restrictions."""

import copy
import pickle

import pytest

from configs import factory, params_dict
from configs.params_dict import ParamsDict
from utils import errors


def _params():
  return ParamsDict(
    {
      'a': 'aa',
      'b': 2,
      'c': {'c1': 'cc', 'c2': 20, 'deep': {'x': 0.5, 'flag': True}},
      'sizes': [640, 640],
      'rates': [0.1, 0.01],
      'nothing': None,
    },
    kinds={'nothing': 'int'},
  )


def test_reads_nested_attributes():
  params = _params()
  assert params.c.deep.x == 0.5
  assert 'c' in params and 'c1' not in params
  assert dir(params) == ['a', 'b', 'c', 'nothing', 'rates', 'sizes']
  assert params.get('b') == 2
  assert params.get('z', 7) == 7


def test_values_are_copied_in_and_out():
  sizes = [1, 2]
  params = ParamsDict({'sizes': sizes})
  sizes.append(3)
  assert params.sizes == [1, 2]
  params.as_dict()['sizes'].append(4)
  assert params.sizes == [1, 2]


def test_unknown_attribute_is_key_error_and_attribute_error():
  params = _params()
  with pytest.raises(KeyError):
    _ = params.zzz
  with pytest.raises(AttributeError):
    _ = params.zzz
  assert not hasattr(params, 'zzz')
  assert hasattr(params, 'c')
  with pytest.raises(KeyError, match=r'c\.c3.*c\.c'):
    _ = params.c.c3


def test_copies_and_pickles():
  params = _params()
  for twin in (copy.deepcopy(params), pickle.loads(pickle.dumps(params))):
    assert twin.as_dict() == params.as_dict()
    twin.override({'c': {'deep': {'x': 1.5}}})
    assert params.c.deep.x == 0.5
    with pytest.raises(errors.ConfigError):
      twin.override({'nothing': 'text'})


def test_assignment_changes_existing_keys_only():
  params = _params()
  params.b = 3
  params.c.c1 = 'new'
  params.c.deep = {'x': 2, 'flag': False}
  assert (params.b, params.c.c1, params.c.deep.x) == (3, 'new', 2)
  with pytest.raises(KeyError):
    params.unknown = 1
  with pytest.raises(errors.ConfigError, match='c.deep.x must be float'):
    params.c.deep = {'x': 'text'}
  with pytest.raises(errors.ConfigError, match='b must be int'):
    params.b = 'text'


def test_deletes_existing_keys_only():
  params = _params()
  del params.a
  assert 'a' not in params
  with pytest.raises(KeyError):
    del params.a


@pytest.mark.parametrize('name', ['_locked', '_restrictions', '_values'])
@pytest.mark.parametrize('is_strict', [True, False])
def test_reserved_names_cannot_be_set_or_deleted(name, is_strict):
  params = _params()
  with pytest.raises(KeyError):
    params.override({name: True}, is_strict=is_strict)
  with pytest.raises(KeyError):
    setattr(params, name, True)
  with pytest.raises(KeyError):
    delattr(params, name)
  with pytest.raises(KeyError):
    params.override({'new': {name: 1}}, is_strict=False)
  assert params.as_dict() == _params().as_dict()


def test_names_of_methods_cannot_be_parameters():
  with pytest.raises(errors.UnknownKeyError, match='override is reserved'):
    ParamsDict({'override': 1})


def test_override_goes_into_blocks():
  params = _params()
  params.override({'b': 5, 'c': {'deep': {'x': 2}}})
  assert params.c.deep.as_dict() == {'x': 2, 'flag': True}
  params.override(ParamsDict({'c': {'c2': 21}}))
  assert (params.b, params.c.c1, params.c.c2) == (5, 'cc', 21)


def test_lenient_override_adds_whole_trees():
  params = _params()
  params.override({'new': {'x': {'y': 1}}, 'c': {'c9': 9}}, is_strict=False)
  assert params.new.x.y == 1
  assert params.c.c9 == 9
  params.override({'new': {'x': {'y': 2}}})
  assert params.new.x.y == 2


@pytest.mark.parametrize(
  'changes, path, guess',
  [
    ({'c': {'deep': {'flagg': 1}}}, 'c.deep.flagg', 'c.deep.flag'),
    ({'sizs': [1, 2]}, 'sizs', 'sizes'),
    ({'flag': False}, 'flag', 'c.deep.flag'),
  ],
)
def test_unknown_key_names_path_and_closest_key(changes, path, guess):
  with pytest.raises(errors.UnknownKeyError) as info:
    _params().override(changes, is_strict=True)
  assert f'Unknown parameter {path}.' in str(info.value)
  assert f"Did you mean '{guess}'?" in str(info.value)


@pytest.mark.parametrize(
  'path, guess',
  [
    ('retinanet_head.num_conv', 'retinanet_head.num_convs'),
    ('trian.total_steps', 'train.total_steps'),
    ('train.num_classes', 'architecture.num_classes'),
    ('total_steps', 'train.total_steps'),
    ('train.batch_size', 'train.train_batch_size'),
    ('train.learning_rate.init_lr', None),
  ],
)
def test_misplaced_keys_of_the_model_are_found(path, guess):
  params = factory.config_generator('retinanet')
  with pytest.raises(errors.UnknownKeyError) as info:
    params_dict.override_params_dict(params, path + '=1', is_strict=True)
  assert path in str(info.value)
  if guess:
    assert f"Did you mean '{guess}'?" in str(info.value)


@pytest.mark.parametrize(
  'changes, parts',
  [
    ({'b': 'text'}, ['b must be int', "'text' is str"]),
    ({'b': True}, ['b must be int', 'true is bool']),
    ({'b': 1.5}, ['b must be int', '1.5 is float']),
    ({'b': 1e5}, ['b must be int', 'Write 100000.']),
    ({'b': {'x': 1}}, ['b must be int', 'block of keys']),
    ({'c': 3}, ['c must be a block', '3 is int']),
    ({'c': None}, ['c must be a block', 'null']),
    ({'c': {'deep': {'x': '1'}}}, ['c.deep.x must be float', "'1' is str"]),
    ({'c': {'deep': {'x': False}}}, ['c.deep.x must be float', 'is bool']),
    ({'c': {'deep': {'flag': 1}}}, ['c.deep.flag must be bool', '1 is int']),
    ({'a': 49}, ['a must be str', '49 is int', "Quote it: a='49'"]),
    ({'sizes': '640,640'}, ['sizes must be list of int', 'is str']),
    ({'sizes': 640}, ['sizes must be list of int', '640 is int']),
    ({'sizes': [1.5, 2]}, ['sizes must be list of int', 'list of float']),
    ({'rates': ['x']}, ['rates must be list of float', 'list']),
    ({'nothing': 'text'}, ['nothing must be int', 'str']),
    ({'nothing': {'x': 1}}, ['nothing must be int', 'block of keys']),
    ({3: 1}, ['3']),
  ],
)
@pytest.mark.parametrize('is_strict', [True, False])
def test_wrong_kind_names_path_and_both_kinds(changes, parts, is_strict):
  params = _params()
  with pytest.raises(errors.ConfigError) as info:
    params.override(changes, is_strict=is_strict)
  for part in parts:
    assert part in str(info.value)
  assert params.as_dict() == _params().as_dict()


@pytest.mark.parametrize(
  'changes',
  [
    {'c': {'deep': {'x': 3}}},
    {'rates': [1, 0.5, 2]},
    {'rates': (1, 2)},
    {'sizes': []},
    {'a': None, 'b': None, 'sizes': None, 'c': {'deep': {'flag': None}}},
    {'nothing': 4},
  ],
)
def test_int_for_float_null_and_lists_are_accepted(changes):
  params = _params()
  params.override(changes)
  for key, value in changes.items():
    if key != 'c':
      assert getattr(params, key) == value
  if 'c' in changes:
    assert params.c.deep.as_dict().items() >= changes['c']['deep'].items()


def test_kind_survives_null():
  params = _params()
  params.override({'b': None})
  with pytest.raises(errors.ConfigError, match='b must be int'):
    params.override({'b': 'text'})


@pytest.mark.parametrize(
  'last', [{'zzz': 1}, {'nothing': 'text'}, {'c': {'deep': {'x': 'text'}}}]
)
def test_failed_override_changes_nothing(last):
  params = _params()
  with pytest.raises(errors.ConfigError):
    params.override({'a': 'changed', 'sizes': [1], **last}, is_strict=True)
  assert params.as_dict() == _params().as_dict()


def test_failed_override_text_changes_nothing():
  params = factory.config_generator('retinanet')
  before = params.as_dict()
  with pytest.raises(errors.UnknownKeyError):
    params_dict.override_params_dict(
      params, 'train.total_steps=5,eval.zzz=1', is_strict=True
    )
  assert params.as_dict() == before


def test_lock_is_recursive():
  params = _params()
  params.lock()
  for change in (
    lambda: params.override({'b': 3}),
    lambda: params.override({'z': 3}, is_strict=False),
    lambda: params.c.deep.override({'x': 1.0}),
    lambda: setattr(params, 'b', 3),
    lambda: setattr(params.c, 'c1', 'x'),
    lambda: setattr(params.c.deep, 'x', 1.0),
    lambda: delattr(params.c, 'c1'),
  ):
    with pytest.raises(ValueError, match='locked'):
      change()
  assert params.as_dict() == _params().as_dict()


def test_copy_of_a_locked_container_is_open_and_unrestricted():
  params = ParamsDict({'a': 1, 'b': {'c': 2}}, ['a < b.c'])
  params.lock()
  twin = ParamsDict(params)
  twin.override({'a': 5})
  twin.b.c = 3
  twin.validate()
  assert (twin.a, twin.b.c, params.a) == (5, 3, 1)
  with pytest.raises(errors.ConfigError):
    twin.override({'a': 'text'})


@pytest.mark.parametrize(
  'name, holding',
  [
    ('==', {(1, 1)}),
    ('!=', {(0, 1), (2, 1)}),
    ('<', {(0, 1)}),
    ('<=', {(0, 1), (1, 1)}),
    ('>', {(2, 1)}),
    ('>=', {(1, 1), (2, 1)}),
  ],
)
@pytest.mark.parametrize('template', ['a {} b.c', 'a{}b.c', ' a  {}  b.c '])
def test_restrictions(name, holding, template):
  for a in (0, 1, 2):
    restriction = template.format(name)
    if (a, 1) in holding:
      ParamsDict({'a': a, 'b': {'c': 1}}, [restriction]).validate()
    else:
      with pytest.raises(KeyError, match=f'a is {a}'):
        ParamsDict({'a': a, 'b': {'c': 1}}, [restriction])


def test_restrictions_are_checked_again_by_validate():
  params = ParamsDict({'a': 1, 'b': 2}, ['a < b'])
  params.override({'a': 3})
  with pytest.raises(params_dict.RestrictionError, match='a < b'):
    params.validate()
  params.override({'a': None})
  with pytest.raises(params_dict.RestrictionError):
    params.validate()


@pytest.mark.parametrize('text', ['a ~ b', 'a < b < a', 'a', 'a = b', ''])
def test_unreadable_restriction_is_value_error(text):
  with pytest.raises(ValueError, match='Restriction'):
    ParamsDict({'a': 1, 'b': 2}, [text])


def test_restriction_on_an_unknown_key_is_key_error():
  with pytest.raises(KeyError, match='zzz'):
    ParamsDict({'a': 1}, ['a == zzz'])


def test_saves_and_reads_yaml(tmp_path):
  path = str(tmp_path / 'sub' / 'params.yaml')
  params = ParamsDict(
    {
      'b': {'list': [1, [2, 'None']], 'pair': (3, 4)},
      'a': {'rate': 1e-05, 'text': '1e-4', 'digits': '49', 'none': None},
      'regex': '.*(kernel|weight):0$',
    }
  )
  params_dict.save_params_dict_to_yaml(params, path)
  with open(path) as f:
    text = f.read()
  assert text.index('a:') < text.index('b:')
  assert 'list: [1, [2, None]]' in text
  read = params_dict.read_yaml_to_params_dict(path)
  expected = params.as_dict()
  expected['b']['pair'] = [3, 4]
  assert read.as_dict() == expected
  assert [p.name for p in (tmp_path / 'sub').iterdir()] == ['params.yaml']


def test_saved_values_that_are_shared_are_written_out(tmp_path):
  shared = [1, 2]
  path = tmp_path / 'params.yaml'
  params = ParamsDict({'a': shared, 'b': [shared, shared]})
  params_dict.save_params_dict_to_yaml(params, str(path))
  assert path.read_text() == 'a: [1, 2]\nb: [[1, 2], [1, 2]]\n'


def test_saving_keeps_the_old_file_if_it_fails(tmp_path):
  path = tmp_path / 'params.yaml'
  path.write_text('a: 1\n')
  with pytest.raises(Exception, match='object'):
    params_dict.save_params_dict_to_yaml(ParamsDict({'a': object()}), str(path))
  assert path.read_text() == 'a: 1\n'
