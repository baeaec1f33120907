"""Label maps: their form, and what is wrong with others."""

import pytest

from utils import errors, label_map


def test_written_label_maps_read_back_sorted(tmp_path):
  path = str(tmp_path / 'labels.txt')
  label_map.write_label_map(path, {90: 'tooth brush', 1: 'a:b', 3: 'Käfer'})
  assert (tmp_path / 'labels.txt').read_text('utf-8') == (
    '1:a:b\n3:Käfer\n90:tooth brush\n'
  )
  names = label_map.read_label_map(path)
  assert list(names.items()) == [(1, 'a:b'), (3, 'Käfer'), (90, 'tooth brush')]
  assert [entry.name for entry in tmp_path.iterdir()] == ['labels.txt']


def test_blanks_do_not_count(tmp_path):
  (tmp_path / 'labels.txt').write_text('\n 1 : cat \n\n2:dog')
  names = label_map.read_label_map(str(tmp_path / 'labels.txt'))
  assert names == {1: 'cat', 2: 'dog'}


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
def test_editors_may_mark_their_encoding(tmp_path, encoding):
  path = tmp_path / 'labels.txt'
  path.write_bytes('1:Käfer\n2:a \t b'.encode(encoding))
  assert label_map.read_label_map(str(path)) == {1: 'Käfer', 2: 'a b'}


def test_another_encoding_is_named(tmp_path):
  path = tmp_path / 'labels.txt'
  path.write_bytes('1:Käfer'.encode('latin-1'))
  with pytest.raises(errors.DataError, match='labels.txt: .* as UTF-8'):
    label_map.read_label_map(str(path))


@pytest.mark.parametrize(
  'text, reason',
  [
    ('1:cat\ndog', "line 2: 'dog' is not of the form"),
    ('one:cat', "line 1: 'one:cat' is not of the form"),
    ('-1:cat', 'is not of the form'),
    ('²:cat', 'is not of the form'),
    ('\u0661:cat', 'is not of the form'),
    ('1:', 'is not of the form'),
    ('1:cat\n1:dog', 'line 2: .* repeats'),
    ('1:cat\n\n2:cat', 'line 3: .* repeats'),
    ('\n\n', 'is empty'),
  ],
)
def test_what_is_wrong_is_named(tmp_path, text, reason):
  (tmp_path / 'labels.txt').write_text(text, 'utf-8')
  with pytest.raises(errors.DataError, match=r'labels\.txt.*' + reason):
    label_map.read_label_map(str(tmp_path / 'labels.txt'))


def test_an_absent_file_is_named(tmp_path):
  path = str(tmp_path / 'absent.txt')
  with pytest.raises(errors.DataError) as raised:
    label_map.read_label_map(path)
  assert str(raised.value) == (
    path + ': the label map cannot be read: No such file or directory.'
  )
