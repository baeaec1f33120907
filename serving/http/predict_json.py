"""JSON of TensorFlow Serving's `:predict` to arrays and back.

Row format: `{"instances": [...]}` is answered by `{"predictions": [...]}`, one
entry an example. Column format: `{"inputs": ...}` is answered by
`{"outputs": ...}`, each tensor as a whole. A lone output goes without its name,
and a lone input may. Bytes are `{"b64": "..."}`.
"""

import base64
import json
import re
import reprlib
from typing import Any, Dict, List, NamedTuple, Sequence

import numpy as np

from serving import contract as contract_lib
from serving.http import request_limits, served_model
from serving.http.request_limits import RequestError

_KEYS = ('instances', 'inputs')
_B64 = 'b64'
# Bytes of memory at most, once it is built, of what a mark in JSON stands for:
# an object, a list, a number with its place in a list, and half a string.
_MEMORY = {b'{': 250, b'[': 90, b',': 36, b'"': 30}
# More are no number of any dtype, and reading them takes quadratic time.
_MAX_DIGITS = 1000
_LONG_INT = re.compile(rb'(?<![0-9])[0-9]{%d}' % _MAX_DIGITS)


class PredictRequest(NamedTuple):
  """What a client asks for.

  Attributes:
    examples: values of the input, without the batch dimension.
    is_by_row: whether it came in row format.
  """

  examples: List[Any]
  is_by_row: bool


def parse(
  body: bytes,
  spec: contract_lib.TensorSpec,
  max_body: int = request_limits.Limits().max_body,
) -> PredictRequest:
  """Reads the body of a request.

  Args:
    body: JSON.
    spec: of the model's images, its shape with the batch dimension.
    max_body: bytes of the largest body; what is built of one may take 8 times
      as much memory, and as much where examples are strings.

  Raises:
    RequestError: 400 or 413, with the reason.
  """
  _check_memory(body, max_body * (1 if spec.dtype == 'string' else 8))
  # The hook takes time, so it is for those that need it.
  parse_int = _short_int if _LONG_INT.search(body) else None
  # JSON nested too deeply is a RecursionError.
  try:
    fields = json.loads(body.decode('utf-8'), parse_int=parse_int)
  except (ValueError, RecursionError) as error:
    raise _bad('The body is not JSON: {}.', error) from error
  if not isinstance(fields, dict):
    raise _bad('The body has to be a JSON object.')
  signature_name = fields.get('signature_name') or served_model.SIGNATURE_NAME
  if signature_name != served_model.SIGNATURE_NAME:
    raise _bad(
      'signature_name: {} is unknown; the model has {!r}.',
      reprlib.repr(signature_name),
      served_model.SIGNATURE_NAME,
    )
  given = [key for key in _KEYS if key in fields]
  if len(given) != 1:
    raise _bad(
      "The body needs either 'instances' (row format) or 'inputs' (column "
      'format); it has {}.',
      'both' if given else 'neither',
    )
  values = fields[given[0]]
  is_by_row = given == ['instances']
  if is_by_row:
    if not isinstance(values, list):
      raise _bad("'instances' has to be a list, an entry an example.")
    values = [_without_name(value, spec, is_by_row) for value in values]
  else:
    values = _without_name(values, spec, is_by_row)
  if not isinstance(values, list) or not values:
    raise _bad('There has to be a list of examples, at least one.')
  read = _bytes if spec.dtype == 'string' else _numbers
  for i, value in enumerate(values):
    # In its place, since what was parsed takes much more memory.
    values[i] = read(value, i, spec)
  return PredictRequest(values, is_by_row)


def format_answer(
  results: Sequence[served_model.Outputs], is_by_row: bool
) -> bytes:
  """Writes the answer; results by signature key, one each example."""
  if is_by_row:
    rows = [
      _without_lone_name({key: _plain(key, row[key]) for key in row})
      for row in results
    ]
    answer = {'predictions': rows}
  else:
    columns = {
      key: [_plain(key, row[key]) for row in results] for key in results[0]
    }
    answer = {'outputs': _without_lone_name(columns)}
  return json.dumps(answer, separators=(',', ':')).encode('utf-8')


def _plain(key: str, value: Any) -> Any:
  """An output as JSON has it; bytes by the rule of TensorFlow Serving."""
  if not isinstance(value, bytes):
    return value.tolist()
  if key.endswith('_bytes'):
    return {_B64: base64.b64encode(value).decode('ascii')}
  return value.decode('utf-8')


def _check_memory(body: bytes, limit: int) -> None:
  """Turns JSON down that would take too much memory, before it is built."""
  need = sum(body.count(mark) * size for mark, size in _MEMORY.items())
  if need > limit:
    raise RequestError(
      413,
      f'The JSON would take {need:,} bytes of memory, of {limit:,} at most. '
      'Send fewer or smaller images at a time.',
    )


def _short_int(digits: str) -> int:
  if len(digits) > _MAX_DIGITS:
    raise ValueError(f'a number has {len(digits)} digits')
  return int(digits)


def _bad(message: str, *values: Any) -> RequestError:
  return RequestError(400, message.format(*values))


def _without_name(
  value: Any, spec: contract_lib.TensorSpec, is_by_row: bool
) -> Any:
  """A lone input may come with or without its name.

  As in TensorFlow Serving, a column of another name is ignored, and a row with
  another name is an error.
  """
  if not isinstance(value, dict) or set(value) == {_B64}:
    return value
  if spec.key not in value or (is_by_row and len(value) > 1):
    raise _bad(
      '{!r} names {}; the input of the model is {!r}.',
      _KEYS[0] if is_by_row else _KEYS[1],
      reprlib.repr(sorted(value)) if value else 'no input',
      spec.key,
    )
  return value[spec.key]


def _bytes(value: Any, index: int, spec: contract_lib.TensorSpec) -> bytes:
  if isinstance(value, str):
    return value.encode('utf-8', 'surrogatepass')
  if not isinstance(value, dict) or not isinstance(value.get(_B64), str):
    raise _bad(
      'input {!r}, example {}: bytes are written {{"b64": "..."}}, with '
      'their base64 text.',
      spec.key,
      index,
    )
  try:
    return _unescape(value[_B64])
  except ValueError as error:
    raise _bad(
      'input {!r}, example {}: this is not base64: {}.', spec.key, index, error
    ) from error


def _unescape(text: str) -> bytes:
  """Decodes base64 as absl::Base64Unescape does, which TensorFlow Serving uses.

  White space is skipped, and padding may be absent.
  """
  text = ''.join(text.split())
  digits = text.rstrip('=')
  missing = -len(digits) % 4
  if len(text) - len(digits) not in (0, missing):
    raise ValueError('wrong padding')
  return base64.b64decode(digits + '=' * missing, validate=True)


def _numbers(
  value: Any, index: int, spec: contract_lib.TensorSpec
) -> np.ndarray:
  """A checked array of one example."""
  where = f'input {spec.key!r}, example {index}: '
  # As objects: NumPy's arrays of text take the length of the longest for each.
  array = np.array(value, dtype=object)
  wanted = tuple(spec.shape[1:])
  # Lists of unequal lengths are objects, too; they shorten the shape.
  if array.shape != wanted:
    raise _bad(
      '{}it has to have the shape {}; what came has {}.',
      where,
      list(wanted),
      list(array.shape),
    )
  dtype = np.dtype(spec.dtype)
  is_integer = dtype.kind in 'iu'
  numbers = array.ravel().tolist()
  if not set(map(type, numbers)) <= ({int} if is_integer else {int, float}):
    raise _bad('{}it has to hold {} numbers.', where, dtype.name)
  # An image of them has no detections, and the answer would be no JSON.
  if any(number != number for number in numbers):
    raise _bad('{}it has to hold numbers; NaN came.', where)
  bounds = np.iinfo(dtype) if is_integer else np.finfo(dtype)
  if min(numbers) < bounds.min or max(numbers) > bounds.max:
    raise _bad(
      '{}{} numbers are {} to {}; {} to {} came.',
      where,
      dtype.name,
      bounds.min,
      bounds.max,
      min(numbers),
      max(numbers),
    )
  return array.astype(dtype)


def _without_lone_name(values: Dict[str, Any]) -> Any:
  return next(iter(values.values())) if len(values) == 1 else values
