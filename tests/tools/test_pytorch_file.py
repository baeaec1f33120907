"""Tensors of PyTorch's files, which no code in them can stand beside."""

import argparse
import os
import pickle
import zipfile

import numpy as np
import pytest

from tools.weight_sources import pytorch_file
from utils import errors

# Of PyTorch 2.13, which made both of the same tensors.
_FILES = os.path.join(os.path.dirname(__file__), 'torch_files')
_ROWS = [[0.0, 0.25, 0.5], [0.75, 1.0, 1.25]]
_TENSORS = {
  **{'single': _ROWS, 'half': _ROWS, 'bfloat': _ROWS, 'double': _ROWS},
  'transposed': [[0.0, 0.75], [0.25, 1.0], [0.5, 1.25]],
  # Of one storage.
  **{'first': [0.0, 1.0, 2.0, 3.0], 'last': [[4.0, 5.0], [6.0, 7.0]]},
  **{'parameter': _ROWS, 'count': 7, 'flags': [True, False], 'empty': []},
}


class _Code:
  def __init__(self, path):
    self._path = path

  def __reduce__(self):
    return os.mkdir, (self._path,)


def _zipped(path, content, compression=zipfile.ZIP_STORED):
  with zipfile.ZipFile(str(path), 'w', compression) as archive:
    archive.writestr('archive/data.pkl', pickle.dumps(content, protocol=2))
  return str(path)


@pytest.mark.parametrize('name', ['zip.pth', 'legacy.pth'])
def test_tensors_of_either_format(name):
  tensors = pytorch_file.read(os.path.join(_FILES, name))
  assert {k: v.tolist() for k, v in tensors.items()} == _TENSORS
  assert tensors['single'].dtype == np.float32
  assert tensors['half'].dtype == np.float16
  assert tensors['empty'].shape == (0, 3)


def test_code_is_refused_by_name_and_does_not_run(tmp_path):
  made = tmp_path / 'made'
  content = {'weight': 1.0, 'code': _Code(str(made))}
  plain = tmp_path / 'plain.pth'
  plain.write_bytes(pickle.dumps(content, protocol=2))
  for path in (str(plain), _zipped(tmp_path / 'zip.pth', content)):
    with pytest.raises(errors.DataError, match=r'holds posix\.mkdir'):
      pytorch_file.read(path)
  assert not made.exists()


@pytest.mark.parametrize(
  'content, named',
  [
    ({'args': argparse.Namespace(a=1)}, 'argparse.Namespace'),
    ({'call': eval}, '__builtin__.eval'),
    ({'best': np.float64(1)}, 'numpy.core.multiarray.scalar'),
  ],
)
def test_anything_but_tensors_is_refused_by_name(tmp_path, content, named):
  path = _zipped(tmp_path / 'other.pth', content)
  with pytest.raises(errors.DataError) as caught:
    pytorch_file.read(path)
  assert f"'{path}' holds {named}, " in str(caught.value)


def test_allowed_functions_cannot_be_misused(tmp_path):
  # OrderedDict, its attribute by way of a call: GLOBAL with dots in the name.
  pickled = b'\x80\x02ccollections\nOrderedDict.fromkeys\n.'
  path = tmp_path / 'dotted.pth'
  path.write_bytes(pickled)
  with pytest.raises(errors.DataError, match='OrderedDict.fromkeys'):
    pytorch_file.read(str(path))


def test_a_tensor_stays_within_its_numbers():
  storage = pytorch_file._Storage('0', '<f4', 4)
  numbers = {'0': np.zeros(4, np.float32)}
  for offset, shape, strides in (
    (2, (3,), (1,)),
    (0, (2, 2), (4, 1)),
    (3, (2,), (-1,)),
    (0, (2**40,), (0,)),
    (0, (2**32, 2**32), (0, 0)),
  ):
    tensor = pytorch_file._Tensor(storage, offset, shape, strides)
    with pytest.raises(ValueError, match='beyond its 4 numbers'):
      pytorch_file._array(tensor, numbers)


@pytest.mark.parametrize('name', ['zip.pth', 'legacy.pth'])
def test_damage_is_told(tmp_path, name):
  with open(os.path.join(_FILES, name), 'rb') as file:
    content = file.read()
  path = tmp_path / name
  for damaged in (b'', content[:-20], content[: len(content) // 3], b'text'):
    path.write_bytes(damaged)
    with pytest.raises(errors.DataError, match='is no file of PyTorch, or it'):
      pytorch_file.read(str(path))


def test_no_state_dict(tmp_path):
  path = _zipped(tmp_path / 'x.pth', {'epoch': 3, 'loss': 0.5})
  with pytest.raises(errors.DataError, match='no state dict.*epoch, loss'):
    pytorch_file.read(path)


def test_what_unpacks_to_any_size_is_refused(tmp_path):
  path = _zipped(tmp_path / 'x.pth', {'x': 1}, zipfile.ZIP_DEFLATED)
  with pytest.raises(errors.DataError, match='its parts are compressed'):
    pytorch_file.read(path)


def test_a_number_is_no_name():
  tensor = pytorch_file._Tensor(None, 0, (1,), (1,))
  content = {0: tensor, 'x': tensor}
  assert list(pytorch_file._state_dict(content, 'x.pth')) == ['x']
