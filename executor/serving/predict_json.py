"""JSON of TensorFlow Serving's `:predict` to arrays and back.

Row format: `{"instances": [...]}` is answered by `{"predictions": [...]}`, one
entry an example. Column format: `{"inputs": ...}` is answered by
`{"outputs": ...}`, each tensor as a whole. A lone output goes without its name,
and a lone input may. Bytes are `{"b64": "..."}`.
"""

import base64
import json
from typing import Any, Dict, List, NamedTuple, Sequence

import numpy as np

from executor.exporting import contract as contract_lib
from executor.serving import served_model
from executor.serving.limits import RequestError

_KEYS = ('instances', 'inputs')
_B64 = 'b64'


class PredictRequest(NamedTuple):
  """What a client asks for.

  Attributes:
    examples: values of the input, without the batch dimension.
    is_by_row: whether it came in row format.
  """

  examples: List[Any]
  is_by_row: bool


def parse(body: bytes, spec: contract_lib.TensorSpec) -> PredictRequest:
  """Reads the body of a request.

  Args:
    body: JSON.
    spec: of the model's only input, its shape with the batch dimension.

  Raises:
    RequestError: 400, with the reason.
  """
  # JSON nested too deeply is a RecursionError.
  try:
    fields = json.loads(body.decode('utf-8'))
  except (ValueError, RecursionError) as error:
    raise _bad('The body is not JSON: {}.', error) from error
  if not isinstance(fields, dict):
    raise _bad('The body has to be a JSON object.')
  signature_name = fields.get('signature_name') or served_model.SIGNATURE_NAME
  if signature_name != served_model.SIGNATURE_NAME:
    raise _bad(
      'signature_name: {!r} is unknown; the model has {!r}.',
      signature_name,
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
    values = [_without_name(value, spec, 'instances') for value in values]
  else:
    values = _without_name(values, spec, 'inputs')
  if not isinstance(values, list) or not values:
    raise _bad('There has to be a list of examples, at least one.')
  if spec.dtype == 'string':
    return PredictRequest(_bytes_of(values, spec), is_by_row)
  return PredictRequest(list(_numbers(values, spec)), is_by_row)


def format_answer(
  results: Sequence[served_model.Outputs], is_by_row: bool
) -> bytes:
  """Writes the answer; results by signature key, one each example."""
  if is_by_row:
    rows = [
      _without_lone_name({key: row[key].tolist() for key in row})
      for row in results
    ]
    answer = {'predictions': rows}
  else:
    columns = {
      key: np.stack([row[key] for row in results]).tolist()
      for key in results[0]
    }
    answer = {'outputs': _without_lone_name(columns)}
  return json.dumps(answer, separators=(',', ':')).encode('utf-8')


def _bad(message: str, *values: Any) -> RequestError:
  return RequestError(400, message.format(*values))


def _without_name(value: Any, spec: contract_lib.TensorSpec, where: str) -> Any:
  """A lone input may come with or without its name."""
  if not isinstance(value, dict) or set(value) == {_B64}:
    return value
  if set(value) != {spec.key}:
    raise _bad(
      '{!r} names {}; the input of the model is {!r}.',
      where,
      ', '.join(sorted(value)) or 'no input',
      spec.key,
    )
  return value[spec.key]


def _bytes_of(values: List[Any], spec: contract_lib.TensorSpec) -> List[bytes]:
  return [_bytes(value, i, spec) for i, value in enumerate(values)]


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
    return base64.b64decode(value[_B64], validate=True)
  except ValueError as error:
    raise _bad(
      'input {!r}, example {}: this is not base64: {}.',
      spec.key,
      index,
      error,
    ) from error


def _numbers(values: List[Any], spec: contract_lib.TensorSpec) -> np.ndarray:
  """A checked array with the batch dimension first."""
  # As objects: NumPy's arrays of text take the length of the longest for each.
  array = np.array(values, dtype=object)
  wanted = tuple(spec.shape[1:])
  # Lists of unequal lengths are objects, too; they shorten the shape.
  if array.shape[1:] != wanted:
    raise _bad(
      'input {!r}: each example has to have the shape {}; those that came '
      'have {}.',
      spec.key,
      list(wanted),
      list(array.shape[1:]),
    )
  dtype = np.dtype(spec.dtype)
  is_integer = dtype.kind in 'iu'
  numbers = array.ravel().tolist()
  if not set(map(type, numbers)) <= ({int} if is_integer else {int, float}):
    raise _bad('input {!r} has to hold {} numbers.', spec.key, dtype.name)
  # An image of them has no detections, and the answer would be no JSON.
  if any(number != number for number in numbers):
    raise _bad('input {!r} has to hold numbers; NaN came.', spec.key)
  bounds = np.iinfo(dtype) if is_integer else np.finfo(dtype)
  if min(numbers) < bounds.min or max(numbers) > bounds.max:
    raise _bad(
      'input {!r}: {} numbers are {} to {}; {} to {} came.',
      spec.key,
      dtype.name,
      bounds.min,
      bounds.max,
      min(numbers),
      max(numbers),
    )
  return array.astype(dtype)


def _without_lone_name(values: Dict[str, Any]) -> Any:
  return next(iter(values.values())) if len(values) == 1 else values
