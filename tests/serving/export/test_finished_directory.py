"""A directory is there as a whole or not at all."""

import os
import stat

import pytest

from serving import contract
from serving.export import finished_directory
from utils import errors


def _write(path, text, override=False):
  with finished_directory.finished_directory(str(path), override) as directory:
    for name in ('file', 'saved_model.pb'):
      with open(os.path.join(directory, name), 'w') as target:
        target.write(text)
    assert os.path.basename(directory).startswith('.')


def test_trailing_slash_and_parents_that_are_missing(tmp_path):
  _write(str(tmp_path / 'a' / 'b' / 'export') + '/', 'new')
  assert os.listdir(str(tmp_path / 'a' / 'b')) == ['export']
  assert (tmp_path / 'a' / 'b' / 'export' / 'file').read_text() == 'new'


def test_relative_name_without_a_directory(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  _write('export', 'new')
  assert os.listdir('.') == ['export']


def test_parents_stay_only_with_what_is_in_them(tmp_path):
  (tmp_path / 'a').mkdir()
  with pytest.raises(ZeroDivisionError):
    with finished_directory.finished_directory(
      str(tmp_path / 'a' / 'b' / 'c' / 'export'), False
    ):
      (tmp_path / 'a' / 'b' / "somebody's").write_text('')
      raise ZeroDivisionError
  assert os.listdir(str(tmp_path / 'a')) == ['b']
  assert os.listdir(str(tmp_path / 'a' / 'b')) == ["somebody's"]
  with pytest.raises(errors.UserError, match="somebody's': File exists"):
    _write(tmp_path / 'a' / 'b' / "somebody's" / 'export', 'new')


@pytest.mark.parametrize('place', ['', 'runs', 'runs/model', 'link/model'])
def test_what_holds_the_sources_is_not_replaced(tmp_path, place):
  model = tmp_path / 'runs' / 'model'
  model.mkdir(parents=True)
  (tmp_path / 'link').symlink_to(tmp_path / 'runs')
  target = tmp_path / place
  # It looks like an export, too.
  (target / 'saved_model.pb').write_text('')
  for sources in ([str(model / 'ckpt')], [str(tmp_path / 'link/model/ckpt')]):
    with pytest.raises(errors.UserError, match='which would be gone'):
      with finished_directory.finished_directory(str(target), True, sources):
        raise AssertionError
  assert (target / 'saved_model.pb').exists() and model.exists()


def test_a_neighbour_of_the_sources_is_replaced(tmp_path):
  sources = [str(tmp_path / 'model' / 'ckpt'), 'gs://bucket/ckpt']
  for name in ('mod', 'model/export'):
    _write(tmp_path / name, 'old')
    with finished_directory.finished_directory(
      str(tmp_path / name), True, sources
    ):
      pass
    assert os.listdir(str(tmp_path / name)) == []


@pytest.mark.parametrize(
  'name, is_replaced',
  [
    (None, True),
    ('saved_model.pb', True),
    (os.path.join(contract.DIRECTORY, contract.FILE_NAME), True),
    ('photo.jpg', False),
    ('1/saved_model.pb', False),
  ],
)
def test_only_exports_are_replaced(tmp_path, name, is_replaced):
  target = tmp_path / 'export'
  target.mkdir()
  if name:
    (target / name).parent.mkdir(exist_ok=True)
    (target / name).write_text('')
  if is_replaced:
    _write(target, 'new', override=True)
    assert (target / 'file').read_text() == 'new'
  else:
    with pytest.raises(errors.UserError, match='is no export'):
      _write(target, 'new', override=True)
    assert (target / name).exists()


def test_permissions_are_those_of_any_new_directory(tmp_path):
  (tmp_path / 'plain').mkdir()
  _write(tmp_path / 'export', 'new')
  modes = [
    stat.S_IMODE(os.stat(str(tmp_path / name)).st_mode)
    for name in ('plain', 'export')
  ]
  assert modes[0] == modes[1]


def test_what_exists_is_replaced_only_on_request(tmp_path):
  _write(tmp_path / 'export', 'old')
  with pytest.raises(errors.UserError, match='--override_export_dir') as info:
    _write(tmp_path / 'export', 'new')
  assert info.value.exit_code == 1
  assert (tmp_path / 'export' / 'file').read_text() == 'old'
  _write(str(tmp_path / 'export') + '//', 'new', override=True)
  assert (tmp_path / 'export' / 'file').read_text() == 'new'
  assert os.listdir(str(tmp_path)) == ['export']


def test_old_one_stays_while_the_new_one_is_written_and_if_it_fails(tmp_path):
  target = tmp_path / 'export'
  _write(target, 'old')
  with pytest.raises(ZeroDivisionError):
    with finished_directory.finished_directory(str(target), True):
      assert (target / 'file').read_text() == 'old'
      raise ZeroDivisionError
  assert (target / 'file').read_text() == 'old'
  assert os.listdir(str(tmp_path)) == ['export']


def test_old_one_comes_back_if_the_new_one_cannot_be_renamed(
  tmp_path, monkeypatch
):
  target = tmp_path / 'export'
  _write(target, 'old')
  rename = os.rename

  def failing(source, destination):
    if destination == str(target) and '.old.' not in source:
      raise OSError('disk is gone')
    rename(source, destination)

  monkeypatch.setattr(os, 'rename', failing)
  with pytest.raises(OSError, match='disk is gone'):
    _write(target, 'new', override=True)
  assert (target / 'file').read_text() == 'old'
  assert os.listdir(str(tmp_path)) == ['export']


@pytest.mark.parametrize('override', [True, False])
def test_file_and_link_are_not_replaced(tmp_path, override):
  (tmp_path / 'file').write_text('text')
  (tmp_path / 'link').symlink_to(tmp_path)
  for name in ('file', 'link'):
    with pytest.raises(errors.UserError, match='is no directory'):
      _write(tmp_path / name, 'new', override)
  assert (tmp_path / 'file').read_text() == 'text'


@pytest.mark.parametrize('path', ['', '/', 'gs://bucket/export'])
def test_impossible_places_are_refused(path):
  with pytest.raises(errors.ConfigError, match='export_dir'):
    _write(path, 'new', override=True)
