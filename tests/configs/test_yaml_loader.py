"""Tests of the YAML reader on what people and fuzzers write."""

import time

import pytest

from configs import resolver, text_overrides, yaml_loader
from utils import errors


def _nested_aliases(first, block):
  """Each of nine lines stands for nine times the one before."""
  lines = [f'a: &a {first}']
  for before, name in zip('abcdefgh', 'bcdefghi'):
    aliases = ','.join(['*' + before] * 9)
    lines.append(f'{name}: &{name} {block.format(aliases)}')
  return '\n'.join(lines)


@pytest.mark.parametrize(
  'text, reason',
  [
    (_nested_aliases('[x]', '[{}]'), 'more than 10000 values'),
    (_nested_aliases('{x: 1}', '{{<<: [{}]}}'), 'more than 10000 values'),
    ('train: &a {x: *a}', '*a contains itself, line 1, column 15'),
    ('&a {<<: *a}', '*a contains itself'),
    ('[' * 50_000, 'more than 10000 values, aliases written out, or 50 in'),
    ('- ' * 500 + '1', 'or 50 in one another'),
    ('x: 1\ntrain: 2\nx: 3', "key 'x' occurs twice, line 3, column 1"),
    ('x: {a: 1}\nx: {a: 2}', "key 'x' occurs twice, line 2, column 1"),
    ('x: {a: 1}\nx: {a: 1, b: 2}', "key 'x' occurs twice"),
    ('x: {a: 1}\nx: {a: "1"}', "key 'x' occurs twice"),
    ('1: x', 'a key must be text; quote it, line 1'),
    ('? [a]\n: b', 'a key must be text'),
    ('a: 1e400', "'1e400' is too large, or no number, line 1, column 4"),
    ('a: .nan', "'.nan' is too large"),
    ('a: ' + '9' * 5000, 'is too large, line 1, column 4'),
    ('a: !!int ""', "'' is no int"),
    ('a: !!bool x', "'x' is no bool"),
    ('a: !!binary aaaa', "tag 'tag:yaml.org,2002:binary' means nothing here"),
    ('a: !!python/object:os.x 1', 'means nothing here; leave it out'),
    ('a: "\\ud800"', 'is no str'),
    ('a: "\\U7fffffff"', 'Not valid YAML'),
    ('a: \0', 'Not valid YAML'),
    ('a: [1', 'line 1, column 6'),
  ],
  ids=lambda text: text[:20].encode('unicode_escape').decode(),
)
def test_what_is_refused(text, reason):
  start = time.perf_counter()
  with pytest.raises(errors.ConfigError) as caught:
    yaml_loader.load(text)
  assert reason in str(caught.value)
  assert len(str(caught.value)) < 300
  assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
  'text, value',
  [
    ('\ufeffa: 1', {'a': 1}),
    # A block that repeats some of itself, as in published files.
    ('x: {a: 1, b: c}\ny: 2\nx: {a: 1}', {'x': {'a': 1, 'b': 'c'}, 'y': 2}),
    ('{a: &a {x: 1}, b: {<<: *a, x: 2}, c: *a}',
     {'a': {'x': 1}, 'b': {'x': 2}, 'c': {'x': 1}}),
    ('a: !!float 1e-4', {'a': 1e-4}),
    ('a: !!python/tuple [1, 2]', {'a': [1, 2]}),
    ('a: 2026-11-29', {'a': '2026-11-29'}),
    ('a: =', {'a': '='}),
  ],
)  # fmt: skip
def test_what_is_read(text, value):
  assert yaml_loader.load(text) == value


@pytest.mark.parametrize(
  'text, reason',
  [
    ('model_dir=\0', 'holds what is no text in UTF-8'),
    ('model_dir=/tmp/\udc80', 'holds what is no text in UTF-8'),
    ('.'.join(['a'] * 5000) + '=1', 'more than 20 parts'),
    ('a=' + ' ' * 100_000 + '[', 'Cannot read the parameters'),
    ('train.total_steps=2147483648', 'at most 2147483647'),
    ('train.{}=1'.format('x' * 100_000), 'Unknown parameter train.xxx'),
  ],
  ids=lambda text: text[:20].encode('unicode_escape').decode(),
)
def test_overrides_that_are_refused(text, reason):
  start = time.perf_counter()
  with pytest.raises(errors.ConfigError) as caught:
    resolver.resolve(params_override=text)
  assert reason in str(caught.value)
  assert len(str(caught.value)) < 600
  assert time.perf_counter() - start < 5


@pytest.mark.parametrize('encoding', ['utf-16', 'latin-1'])
def test_a_file_in_another_encoding(tmp_path, encoding):
  path = tmp_path / 'config.yaml'
  path.write_bytes("eval: {suffix: 'ö'}".encode(encoding))
  with pytest.raises(errors.ConfigError, match='Save it as UTF-8'):
    text_overrides.read_file(str(path))
