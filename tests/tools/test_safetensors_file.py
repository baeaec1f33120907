"""Tensors of safetensors files."""

import numpy as np
import pytest
import safetensors

from tools.weight_sources import safetensors_file
from utils import errors


def _written(path, **tensors):
  safetensors.serialize_file(tensors, str(path), None)
  return str(path)


def test_types_of_numbers(tmp_path):
  path = _written(
    tmp_path / 'x.safetensors',
    single={
      'dtype': 'float32',
      'shape': [2, 1],
      'data': b'\0\0\xc0?\0\0\0\xc0',
    },
    half={'dtype': 'float16', 'shape': [1], 'data': b'\0>'},
    brain={'dtype': 'bfloat16', 'shape': [2], 'data': b'\xc0?\0\xc0'},
    count={'dtype': 'int64', 'shape': [], 'data': b'\x07' + bytes(7)},
  )
  tensors = safetensors_file.read(path)
  assert {name: value.tolist() for name, value in tensors.items()} == {
    'single': [[1.5], [-2.0]],
    'half': [1.5],
    'brain': [1.5, -2.0],
    'count': 7,
  }
  assert tensors['brain'].dtype == np.float32


def test_what_cannot_be_read_is_told(tmp_path):
  path = _written(
    tmp_path / 'x.safetensors',
    small={'dtype': 'float8_e4m3fn', 'shape': [1], 'data': b'0'},
  )
  with pytest.raises(errors.DataError, match='small is of type F8_E4M3; known'):
    safetensors_file.read(path)
  other = tmp_path / 'other.safetensors'
  other.write_bytes(b'text')
  with pytest.raises(errors.DataError, match='is no safetensors file, or it'):
    safetensors_file.read(str(other))
