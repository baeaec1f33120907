"""Tensors of a safetensors file."""

from typing import Dict

import numpy as np
import safetensors

from tools.weight_sources import number_formats
from utils import errors

_TYPES = {
  **{'F64': '<f8', 'F32': '<f4', 'F16': '<f2'},
  **{'I64': '<i8', 'I32': '<i4', 'I16': '<i2', 'I8': 'i1'},
  **{'U8': 'u1', 'BOOL': '?', 'BF16': number_formats.BFLOAT16},
}


def read(path: str) -> Dict[str, np.ndarray]:
  """Returns the tensors of a file by name.

  Args:
    path: local file.

  Raises:
    errors.DataError: it is no such file, damaged, or has a type of number that
      weights do not have.
  """
  with open(path, 'rb') as file:
    content = file.read()
  try:
    entries = safetensors.deserialize(content)
  except safetensors.SafetensorError as error:
    raise errors.DataError(
      f"'{path}' is no safetensors file, or it is damaged: {error}. Fetch it "
      'anew.'
    ) from error
  tensors = {}
  for name, entry in entries:
    if entry['dtype'] not in _TYPES:
      raise errors.DataError(
        f"'{path}': {name} is of type {entry['dtype']}; known are "
        f'{", ".join(_TYPES)}. Save the weights as F32.'
      )
    numbers = number_formats.decoded(entry['data'], _TYPES[entry['dtype']])
    tensors[name] = numbers.reshape(entry['shape'])
  return tensors
