"""Convolutions of integers in ONNX, in a graph that is written out."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from serving.export.formats import onnx_calibration, onnx_int8
from serving.predictors import runtimes
from utils import errors

_KERNELS = ('first', 'shared', 'last')
_FLOAT = onnx.TensorProto.FLOAT


def _constant(name, value):
  return numpy_helper.from_array(np.float32(value), name)


def _model():
  """Two convolutions share a kernel, as levels do; each has its own bias."""
  draw = np.random.RandomState(0)
  kernel = draw.randn(4, 4, 3, 3) / 6
  # A channel without any weight has no scale.
  kernel[3] = 0
  nodes = [
    helper.make_node('Conv', ['x', 'first', 'b0'], ['a'], name='first'),
    helper.make_node('Relu', ['a'], ['relu'], name='relu'),
    helper.make_node(
      'Conv', ['relu', 'shared', 'b1'], ['b'], name='b', pads=[1] * 4
    ),
    helper.make_node(
      'Conv', ['relu', 'shared', 'b2'], ['c'], name='c', pads=[1] * 4
    ),
    helper.make_node('Add', ['b', 'c'], ['sum'], name='sum'),
    helper.make_node('Concat', ['sum', 'sum'], ['twice'], name='twice', axis=2),
    helper.make_node('Conv', ['twice', 'last'], ['logits'], name='last'),
    helper.make_node('Sigmoid', ['logits'], ['y'], name='sigmoid'),
  ]
  graph = helper.make_graph(
    nodes,
    'test',
    [helper.make_tensor_value_info('x', _FLOAT, [1, 3, 8, 8])],
    [helper.make_tensor_value_info('y', _FLOAT, None)],
    [
      _constant('first', draw.randn(4, 3, 1, 1)),
      _constant('shared', kernel),
      _constant('last', draw.randn(2, 4, 1, 1)),
      *(_constant(f'b{i}', draw.randn(4)) for i in range(3)),
    ],
  )
  return helper.make_model(
    graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=7
  )


def _batches(count=12):
  draw = np.random.RandomState(1)
  return [np.float32(draw.randn(1, 3, 8, 8)) for _ in range(count)]


def _run(model, batch):
  session = runtimes.onnx_session(model.SerializeToString())
  return session.run(['y'], {'x': batch})[0]


def test_what_is_an_integer():
  model = _model()
  assert onnx_int8.convolutions(model) == ['first', 'b', 'c', 'last']
  assert onnx_int8.last_convolutions(model, 'y') == ['last']
  everything = onnx_int8.integer_tensors(model, ['first', 'b', 'c', 'last'])
  # What a ReLU cuts off is never there.
  assert everything == {'x', 'relu', 'b', 'c', 'sum', 'twice', 'logits'}
  # Nothing behind the last integers is one.
  assert onnx_int8.integer_tensors(model, ['b']) == {'relu', 'b'}


def test_integers_are_close_to_floats():
  model = _model()
  ranges = {
    name: (-4.0, 4.0) if name != 'relu' else (0.0, 4.0)
    for name in onnx_int8.integer_tensors(model, ['first', 'b', 'c', 'last'])
  }
  changed = onnx_int8.quantize(model, ['b', 'c'], ranges)
  operators = [node.op_type for node in changed.graph.node]
  assert operators.count('QuantizeLinear') == 3
  constants = {
    c.name: numpy_helper.to_array(c) for c in changed.graph.initializer
  }
  assert [c.dtype for n, c in constants.items() if 'shared' in n] == [np.int8]
  assert constants['first'].dtype == np.float32
  kernel = numpy_helper.to_array(model.graph.initializer[1])
  scale = np.abs(kernel[0]).max() / 127
  np.testing.assert_array_equal(
    constants['shared/int8'][0], np.rint(kernel[0] / scale)
  )
  assert constants['shared/int8'][3].any() == False  # noqa: E712
  assert model == _model()


def test_calibration_keeps_what_pays(caplog, monkeypatch):
  monkeypatch.setattr(onnx_calibration, '_NUM_BETWEEN', 0)
  caplog.set_level('INFO')
  model = _model()
  # One value lies so far out that 256 steps to it would be coarse.
  batches = _batches()
  batches[10][0, 0, 0, 1] = 100
  changed = onnx_calibration.quantize(model, ['y'], batches)
  assert 'int8: ranges by least squares' in caplog.text
  for name in ('first', 'last'):
    assert f'int8: {name} stay float: with integers' in caplog.text
  for batch in batches[:3]:
    np.testing.assert_allclose(
      _run(changed, batch), _run(model, batch), atol=0.15
    )
  kept = [c.name for c in changed.graph.initializer if c.name in _KERNELS]
  assert kept == ['first', 'last']


def test_numbers_that_are_not_finite_are_refused():
  batches = _batches()
  batches[2][0, 0, 0, 0] = np.nan
  with pytest.raises(errors.UserError, match='needs finite numbers'):
    onnx_calibration.quantize(_model(), ['y'], batches)
