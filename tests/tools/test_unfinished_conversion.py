"""A conversion that ends early leaves nothing that looks complete."""

import subprocess
import time

import pytest

from dataloader import record_files
from tests import programs, small_disk
from tests.tools import annotated_images
from utils import errors

_HIDDEN = '.train.tmp'
_PROGRAM = 'tools/create_tf_record.py'
# Kills itself in place of one of its calls of a function.
_KILLED = """
import os, runpy, signal, sys
import tensorflow.compat.v1 as tf
name, calls = sys.argv.pop(1), int(sys.argv.pop(1))
owner = tf.io.gfile if name == 'rename' else tf.io.TFRecordWriter
function = getattr(owner, name)
def count(*args, **options):
  global calls
  if not calls:
    os.kill(os.getpid(), signal.SIGKILL)
  calls -= 1
  return function(*args, **options)
setattr(owner, name, count)
runpy.run_path('tools/create_tf_record.py', run_name='__main__')
"""
# Shards get their numbers; then two splits and the label map move.
_NUM_RENAMES = 4 + 2 * 4 + 1


@pytest.fixture(scope='module')
def arguments(tmp_path_factory):
  """Of a conversion to OUTPUT, of 20 images with a box each."""
  folder = tmp_path_factory.mktemp('voc')
  for number in range(20):
    annotated_images.save_image(folder / f'{number}.jpg')
    annotated_images.write_xml(
      folder, str(number), annotated_images.voc_object('cat', 4, 3, 20, 18)
    )
  return [
    f'--voc_annotation_dir={folder}',
    f'--image_dir={folder}',
    '--split=0.8,0.2',
    '--name=train,val',
    '--num_shards=2',
  ]


@pytest.fixture(scope='module')
def whole(arguments, tmp_path_factory):
  output = tmp_path_factory.mktemp('whole')
  process = programs.run(_PROGRAM, *arguments, f'--output_dir={output}')
  assert process.returncode == 0, process.stderr
  return _contents(output)


def _contents(folder):
  return {
    path.name: path.read_bytes()
    for path in folder.iterdir()
    if path.name != _HIDDEN
  }


def _is_read(folder, name):
  try:
    return len(record_files.find_files(f'{folder}/{name}-*.tfrecord')) > 0
  except errors.DataError as error:
    assert 'No file matches' in str(error) or 'Run it again' in str(error)
    return False


@pytest.mark.parametrize(
  'name, calls',
  [('write', 18), ('rename', 5)]
  + [
    pytest.param(*call, marks=pytest.mark.slow)
    for call in [('write', 0)]
    + [('rename', calls) for calls in range(_NUM_RENAMES) if calls != 5]
  ],
)
def test_killed_run_is_not_read_and_the_next_one_is_whole(
  name, calls, arguments, whole, tmp_path
):
  arguments = [*arguments, f'--output_dir={tmp_path}']
  killed = programs.run('-c', _KILLED, name, calls, *arguments)
  assert killed.returncode == -9
  assert (tmp_path / _HIDDEN).is_dir()
  assert not _is_read(tmp_path / _HIDDEN, 'train')
  assert not _is_read(tmp_path, 'train') and not _is_read(tmp_path, 'val')
  if name == 'write':
    assert not _contents(tmp_path)
  again = programs.run(_PROGRAM, *arguments)
  assert again.returncode == 0, again.stderr
  assert _contents(tmp_path) == whole


@pytest.mark.slow
def test_killed_run_that_replaces_an_earlier_one(arguments, whole, tmp_path):
  arguments = [*arguments, f'--output_dir={tmp_path}', '--overwrite']
  first = programs.run(_PROGRAM, *arguments, '--num_shards=3')
  assert first.returncode == 0, first.stderr
  # Until files get their names the earlier ones are good.
  killed = programs.run('-c', _KILLED, 'write', 3, *arguments)
  assert killed.returncode == -9
  assert _is_read(tmp_path, 'train') and _is_read(tmp_path, 'val')
  killed = programs.run('-c', _KILLED, 'rename', 5, *arguments)
  assert killed.returncode == -9
  assert not _is_read(tmp_path, 'train') and not _is_read(tmp_path, 'val')
  assert programs.run(_PROGRAM, *arguments).returncode == 0
  assert _contents(tmp_path) == whole


@pytest.mark.slow
@pytest.mark.parametrize('number', [2, 15])
def test_signal_leaves_nothing(number, arguments, tmp_path):
  folder, output = tmp_path / 'voc', tmp_path / 'out'
  folder.mkdir()
  for index in range(400):
    annotated_images.save_image(folder / f'{index}.png', 400, 300)
    annotated_images.write_xml(
      folder,
      str(index),
      annotated_images.voc_object('cat', 4, 3, 20, 18),
      filename=f'{index}.png',
      size=(400, 300),
    )
  process = subprocess.Popen(
    [
      *programs.PYTHON,
      _PROGRAM,
      f'--voc_annotation_dir={folder}',
      f'--image_dir={folder}',
      f'--output_dir={output}',
      '--name=train',
    ],
    cwd=programs.ROOT,
    stderr=subprocess.PIPE,
    universal_newlines=True,
  )
  while not (output.exists() and list(output.iterdir())):
    assert process.poll() is None
    time.sleep(0.01)
  process.send_signal(number)
  message = process.communicate()[1]
  assert process.returncode == 128 + number
  assert message.splitlines()[-1].startswith('Interrupted by SIG')
  assert not output.exists()


def test_full_disk_is_told_and_leaves_nothing(arguments, tmp_path):
  with small_disk.mounted(tmp_path, 16 * 2**10):
    process = programs.run(_PROGRAM, *arguments, f'--output_dir={tmp_path}')
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1].startswith('Error: The disk is full')
    assert 'Traceback' not in process.stderr
    assert list(tmp_path.iterdir()) == []
