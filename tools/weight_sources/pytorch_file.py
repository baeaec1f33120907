"""Tensors of a file that PyTorch saved, read without it.

Such a file is a pickle beside raw numbers, and a pickle may call any function
that it names. Here it may name what makes up a tensor, and nothing else.
"""

import collections
import functools
import io
import operator
import pickle
import struct
import zipfile
from typing import Any, BinaryIO, Dict, NamedTuple, Tuple

import numpy as np

from tools.weight_sources import number_formats
from utils import errors

# What the files begin with since PyTorch 1.6, and before.
_ZIP = b'PK\x03\x04'
_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C

_TYPES = {
  **{'DoubleStorage': '<f8', 'FloatStorage': '<f4', 'HalfStorage': '<f2'},
  **{'LongStorage': '<i8', 'IntStorage': '<i4', 'ShortStorage': '<i2'},
  **{'CharStorage': 'i1', 'ByteStorage': 'u1', 'BoolStorage': '?'},
  'BFloat16Storage': number_formats.BFLOAT16,
}
# Where training programs put the weights beside other things.
_WEIGHTS = ('state_dict', 'model_state_dict', 'model')
_NUM_NAMES = 5

# What was pickled, and the numbers of each storage.
_Content = Tuple[Any, Dict[str, np.ndarray]]


class _Storage(NamedTuple):
  """Numbers in a row, which tensors share."""

  key: str
  dtype: str
  size: int


class _Tensor(NamedTuple):
  """A view of a storage; offset and strides count numbers."""

  storage: _Storage
  offset: int
  shape: Tuple[int, ...]
  strides: Tuple[int, ...]


def _rebuild_tensor(storage, offset, shape, strides, *unused):
  del unused  # Whether it has a gradient, hooks, and what later versions add.
  return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor, *unused):
  del unused
  return tensor


_ALLOWED = {
  ('collections', 'OrderedDict'): collections.OrderedDict,
  ('torch._utils', '_rebuild_tensor_v2'): _rebuild_tensor,
  ('torch._utils', '_rebuild_parameter'): _rebuild_parameter,
  **{('torch', name): dtype for name, dtype in _TYPES.items()},
}


class _TensorUnpickler(pickle.Unpickler):
  """Makes `_Tensor`s, dicts and plain values; refuses all else by name."""

  def __init__(self, file: BinaryIO, path: str):
    super().__init__(file)
    self._path = path
    self.storages: Dict[str, _Storage] = {}

  def find_class(self, module: str, name: str) -> Any:
    try:
      return _ALLOWED[module, name]
    except KeyError:
      raise errors.DataError(
        f"'{self._path}' holds {module}.{name}, and only tensors are read: a "
        'pickled name may run any code. If you trust the file, save its '
        'state_dict alone, with PyTorch.'
      ) from None

  def persistent_load(self, pid: Any) -> _Storage:
    # The device that it lay on; and a part of another, in files before 0.4.
    kind, dtype, key, _, size, *view = pid
    if kind != 'storage' or dtype not in _TYPES.values() or any(view):
      raise pickle.UnpicklingError(f'{kind} of {dtype}')
    return self.storages.setdefault(key, _Storage(key, dtype, size))


def read(path: str) -> Dict[str, np.ndarray]:
  """Returns the tensors of a state dict by name.

  Args:
    path: local file of `torch.save`, of any version.

  Raises:
    errors.DataError: it is no such file, damaged, without a state dict, or
      holds anything but tensors.
  """
  with open(path, 'rb') as file:
    is_zip = file.read(len(_ZIP)) == _ZIP
    file.seek(0)
    try:
      content, numbers = (_read_zip if is_zip else _read_legacy)(file, path)
      return {
        name: _array(tensor, numbers)
        for name, tensor in _state_dict(content, path).items()
      }
    except errors.DataError:
      raise
    except Exception as error:  # A malformed pickle raises one of any kind.
      raise errors.DataError(
        f"'{path}' is no file of PyTorch, or it is damaged: {error}. Fetch it "
        'anew.'
      ) from error


def _read_zip(file: BinaryIO, path: str) -> Tuple[Any, Dict[str, np.ndarray]]:
  with zipfile.ZipFile(file) as archive:
    # PyTorch compresses nothing; what does may unpack to any size.
    packed = (info.compress_type for info in archive.infolist())
    if set(packed) != {zipfile.ZIP_STORED}:
      raise ValueError('its parts are compressed')
    folder = next(
      name[: -len('data.pkl')]
      for name in archive.namelist()
      if name.endswith('/data.pkl')
    )
    pickled = archive.read(folder + 'data.pkl')
    unpickler = _TensorUnpickler(io.BytesIO(pickled), path)
    content = unpickler.load()
    numbers = {
      key: _decoded(archive.read(f'{folder}data/{key}'), storage)
      for key, storage in unpickler.storages.items()
    }
  return content, numbers


def _read_legacy(file: BinaryIO, path: str) -> _Content:
  if _TensorUnpickler(file, path).load() != _MAGIC_NUMBER:
    raise pickle.UnpicklingError('its first number is another')
  for _ in ('version of the format', 'machine'):
    _TensorUnpickler(file, path).load()
  unpickler = _TensorUnpickler(file, path)
  content = unpickler.load()
  numbers = {}
  for key in _TensorUnpickler(file, path).load():
    storage = unpickler.storages[key]
    (size,) = struct.unpack('<q', file.read(8))
    if size != storage.size:
      raise ValueError(f'{size} numbers in place of {storage.size}')
    data = file.read(size * number_formats.item_size(storage.dtype))
    numbers[key] = _decoded(data, storage)
  return content, numbers


def _decoded(data: bytes, storage: _Storage) -> np.ndarray:
  wanted = storage.size * number_formats.item_size(storage.dtype)
  if len(data) != wanted:
    raise ValueError(f'{len(data)} bytes in place of {wanted}')
  return number_formats.decoded(data, storage.dtype)


def _array(tensor: _Tensor, numbers: Dict[str, np.ndarray]) -> np.ndarray:
  stored = numbers[tensor.storage.key]
  last = tensor.offset + sum(
    (size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides)
  )
  # Python's integers, since those of a damaged file may be of any size.
  count = functools.reduce(operator.mul, tensor.shape, 1)
  fits = min(tensor.offset, *tensor.strides, 0) == 0 and last < len(stored)
  if count and not (fits and count <= len(stored)):
    raise ValueError(f'a tensor beyond its {len(stored)} numbers')
  view = np.lib.stride_tricks.as_strided(
    stored[tensor.offset :],
    tensor.shape,
    [stride * stored.itemsize for stride in tensor.strides],
  )
  return view.copy()


def _state_dict(content: Any, path: str) -> Dict[str, _Tensor]:
  entries = content if isinstance(content, dict) else {}
  for key in _WEIGHTS:
    if isinstance(entries.get(key), dict):
      entries = entries[key]
      break
  tensors = {
    name: value
    for name, value in entries.items()
    if isinstance(name, str) and isinstance(value, _Tensor)
  }
  if not tensors:
    names = ', '.join(map(str, list(entries)[:_NUM_NAMES]))
    raise errors.DataError(
      f"'{path}' holds no state dict, which maps names to tensors, but "
      f'{names or type(content).__name__}. Save that of the model.'
    )
  return tensors
