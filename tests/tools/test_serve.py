"""What tools/serve.py refuses before it serves."""

import socket

import pytest

from serving.http import served_model, server
from tests import programs
from utils import errors


def _export(directory):
  (directory / 'assets.extra').mkdir(parents=True)
  (directory / 'assets.extra' / 'contract.json').write_text('{}')
  return str(directory)


@pytest.mark.parametrize(
  'path, name, expected',
  [
    ('exports/cells', None, ('exports/cells', 'cells', 1)),
    ('exports/cells', 'x', ('exports/cells', 'x', 1)),
    ('cells/12', None, ('cells/12', 'cells', 12)),
    ('blood cells:2', None, ('blood cells:2', 'blood_cells_2', 1)),
  ],
)
def test_names_and_versions(tmp_path, path, name, expected):
  _export(tmp_path / path)
  location = served_model.locate(str(tmp_path / path) + '/', name)
  directory, *others = expected
  assert location == (str(tmp_path / directory), *others)


def test_the_highest_version_is_served(tmp_path):
  for version in ('2', '10', '9'):
    _export(tmp_path / 'cells' / version)
  # An export that is under way, and a directory without a model.
  _export(tmp_path / 'cells' / '.11.tmp')
  (tmp_path / 'cells' / '12').mkdir()
  assert served_model.locate(str(tmp_path / 'cells')) == (
    str(tmp_path / 'cells' / '10'),
    'cells',
    10,
  )


def test_a_model_is_missing(tmp_path):
  for path in (tmp_path, tmp_path / 'nosuch'):
    with pytest.raises(errors.UserError, match='holds no model'):
      served_model.locate(str(path))


def test_a_model_of_another_program_is_refused(tmp_path):
  with pytest.raises(errors.UserError, match='export_saved_model.py wrote'):
    served_model.ServedModel(_export(tmp_path / 'model'))


@pytest.mark.parametrize('host', ['203.0.113.1', '300.1.1.1'])
def test_a_host_that_is_not_here_is_refused(host):
  with pytest.raises(
    errors.UserError, match=f'--host={host} --port=0 can.* of this mach'
  ):
    server.bind(host, 0)


def _run(*arguments):
  return programs.run('tools/serve.py', *arguments)


def test_a_port_in_use_is_refused(tmp_path):
  model = _export(tmp_path / 'model')
  with socket.socket() as taken:
    taken.bind(('127.0.0.1', 0))
    taken.listen(1)
    finished = _run(model, f'--port={taken.getsockname()[1]}')
  assert finished.returncode == 1
  assert 'Error: --host=127.0.0.1 --port=' in finished.stderr
  assert 'Address already in use. Stop the program' in finished.stderr
  assert 'Traceback' not in finished.stderr


@pytest.mark.parametrize(
  'arguments, message',
  [
    ([], 'Give one model directory'),
    (['a', 'b'], 'there are 2'),
    (['a', '--model_name=a/b'], '--model_name=a/b may hold letters'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  finished = _run(*arguments)
  assert finished.returncode == 2
  assert finished.stderr.startswith('Error: ')
  assert message in finished.stderr
