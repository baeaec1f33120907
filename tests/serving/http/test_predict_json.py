"""JSON of TensorFlow Serving's `:predict`."""

import json

import numpy as np
import pytest

from serving import contract
from serving.http import predict_json, request_limits

_BYTES = contract.TensorSpec('input', 'Placeholder:0', 'string', (None,))
_PIXELS = contract.TensorSpec('img', 'Placeholder:0', 'uint8', (None, 1, 2, 3))
_FLOATS = _PIXELS._replace(dtype='float32')
_IMAGE = [[[1, 2, 3], [4, 5, 255]]]


def _parse(fields, spec=_PIXELS):
  return predict_json.parse(json.dumps(fields).encode('utf-8'), spec)


@pytest.mark.parametrize(
  'fields, is_by_row',
  [
    ({'instances': [_IMAGE, _IMAGE]}, True),
    ({'instances': [{'img': _IMAGE}, _IMAGE]}, True),
    ({'inputs': [_IMAGE, _IMAGE]}, False),
    ({'inputs': {'img': [_IMAGE, _IMAGE]}}, False),
    (
      {'signature_name': 'serving_default', 'inputs': {'img': [_IMAGE] * 2}},
      False,
    ),
    ({'signature_name': '', 'instances': [_IMAGE] * 2}, True),
  ],
)
@pytest.mark.parametrize('spec', [_PIXELS, _FLOATS])
def test_numbers_by_row_and_by_column(fields, is_by_row, spec):
  parsed = _parse(fields, spec)
  assert parsed.is_by_row is is_by_row
  assert len(parsed.examples) == 2
  for example in parsed.examples:
    assert example.dtype == spec.dtype
    np.testing.assert_array_equal(example, _IMAGE)


@pytest.mark.parametrize(
  'fields',
  [
    {'instances': [{'b64': 'AP8K'}, 'hé']},
    {'instances': [{'input': {'b64': 'AP8K'}}, {'input': 'hé'}]},
    {'inputs': [{'b64': 'AP8K'}, 'hé']},
    {'inputs': {'input': [{'b64': 'AP8K'}, 'hé']}},
  ],
)
def test_bytes(fields):
  assert _parse(fields, _BYTES).examples == [b'\x00\xff\n', b'h\xc3\xa9']


@pytest.mark.parametrize(
  'body, message',
  [
    (b'{', 'not JSON'),
    (b'\xff', 'not JSON'),
    (b'[' * 100000, 'not JSON'),
    (b'[1]', 'JSON object'),
    (b'{}', 'neither'),
    (b'{"inputs": [], "instances": []}', 'both'),
    (b'{"instances": 1}', 'has to be a list'),
    (b'{"instances": []}', 'at least one'),
    (b'{"inputs": []}', 'at least one'),
    (b'{"inputs": null}', 'at least one'),
    (b'{"instances": [1], "signature_name": "x"}', "'x' is unknown"),
    (b'{"instances": [{"image": 1}]}', "names \\['image'\\]; .* is 'img'"),
    (b'{"instances": [{}]}', 'names no input'),
    (b'{"instances": [{"img": 1, "other": 2}]}', "names .* is 'img'"),
    (b'{"signature_name": "\\ud800", "instances": [1]}', 'ud800.* unknown'),
    (b'{"instances": [' + b'9' * 10**7 + b']}', '10000000 digits'),
    (b'{"instances": [[[[1, 2, 3]]]]}', r'shape \[1, 2, 3\]; .* \[1, 1, 3\]'),
    (b'{"instances": [1]}', r'has \[\]'),
    (b'{"instances": [[[[1, 2, 3], [1, 2]]]]}', r'has \[1, 2\]'),
    (b'{"instances": [[[[1, 2, 3], [1, 2, null]]]]}', 'uint8 numbers'),
    (b'{"instances": [[[[1, 2, 3], [1, 2, "3"]]]]}', 'uint8 numbers'),
    (b'{"instances": [[[[1, 2, 3], [1, 2, 0.5]]]]}', 'uint8 numbers'),
    (b'{"instances": [[[[1, 2, 3], [1, 2, 256]]]]}', '0 to 255; 1 to 256'),
    (b'{"instances": [[[[1, 2, 3], [1, 2, -1]]]]}', '0 to 255; -1 to 3'),
    (b'{"instances": [[[[true, true, true], [true, true, true]]]]}', 'uint8'),
  ],
)
def test_what_is_wrong_is_named(body, message):
  with pytest.raises(request_limits.RequestError, match=message) as info:
    predict_json.parse(body, _PIXELS)
  assert info.value.status == 400


@pytest.mark.parametrize('value', ['{}', '[]', '["a"]', '0.1', '"k":1'])
@pytest.mark.parametrize('spec', [_PIXELS, _BYTES])
def test_json_that_would_take_much_memory_is_not_built(value, spec):
  bounds = {'uint8': 8 * 10**5, 'string': 10**5}
  marks = '{%s}' if ':' in value else '{"instances":[%s]}'
  # Each value takes 32 to 250 bytes.
  fits = marks % ','.join([value] * (bounds[spec.dtype] // 400))
  too_much = marks % ','.join([value] * (bounds[spec.dtype] // 32))
  for body, status in ((fits, 400), (too_much, 413)):
    with pytest.raises(request_limits.RequestError) as info:
      predict_json.parse(body.encode('ascii'), spec, 10**5)
    assert info.value.status == status


@pytest.mark.parametrize(
  'text', ['AP8K/w==', 'AP8K/w', 'AP8K\r\n/w==\n', ' AP8K\t/w= =', 'AP8K\n/w']
)
def test_base64_as_in_tensorflow_serving(text):
  assert _parse({'inputs': [{'b64': text}]}, _BYTES).examples == [
    b'\x00\xff\n\xff'
  ]


def test_columns_of_other_names_are_ignored():
  columns = {'key': ['a'], 'input': [{'b64': 'AP8K'}], 'n': {'b64': ''}}
  parsed = _parse({'inputs': columns, 'more': 1}, _BYTES)
  assert parsed.examples == [b'\x00\xff\n']


@pytest.mark.parametrize('number', ['1e39', '-Infinity', '1' + 400 * '0'])
def test_floats_that_do_not_fit_are_refused(number):
  body = '{"inputs": [[[[1, 2, 3], [4, 5, %s]]]]}' % number
  with pytest.raises(request_limits.RequestError, match='float32 numbers are'):
    predict_json.parse(body.encode('utf-8'), _FLOATS)


def test_nan_is_refused():
  body = b'{"inputs": [[[[1, 2, 3], [4, 5, NaN]]]]}'
  with pytest.raises(request_limits.RequestError, match='NaN came'):
    predict_json.parse(body, _FLOATS)


def test_text_takes_no_more_memory_than_it_has():
  # As an array of text it would be 4 TB.
  body = {'instances': ['x' * 10**6] + [''] * 10**6}
  with pytest.raises(request_limits.RequestError, match='shape'):
    _parse(body)


@pytest.mark.parametrize(
  'value, message',
  [
    (1, 'example 1: bytes are written'),
    (None, 'bytes are written'),
    ({'b64': 1}, 'bytes are written'),
    ({'b64': 'A'}, 'example 1: this is not base64'),
    ({'b64': 'AP8K='}, 'not base64'),
    ({'b64': 'AP8K!'}, 'not base64'),
    ({'b64': 'é'}, 'not base64'),
  ],
)
def test_what_is_wrong_with_bytes_is_named(value, message):
  with pytest.raises(request_limits.RequestError, match=message):
    _parse({'inputs': ['ok', value]}, _BYTES)


_RESULTS = [
  {'n': np.int32(2), 'boxes': np.float32([[1, 2.5]])},
  {'n': np.int32(0), 'boxes': np.float32([[0, 0]])},
]


@pytest.mark.parametrize(
  'results, is_by_row, answer',
  [
    (
      _RESULTS,
      True,
      {
        'predictions': [
          {'n': 2, 'boxes': [[1.0, 2.5]]},
          {'n': 0, 'boxes': [[0.0, 0.0]]},
        ]
      },
    ),
    (
      _RESULTS,
      False,
      {'outputs': {'n': [2, 0], 'boxes': [[[1.0, 2.5]], [[0.0, 0.0]]]}},
    ),
    ([{'n': np.int32(3)}], True, {'predictions': [3]}),
    ([{'n': np.int32(3)}], False, {'outputs': [3]}),
  ],
)
def test_answers(results, is_by_row, answer):
  assert json.loads(predict_json.format_answer(results, is_by_row)) == answer
