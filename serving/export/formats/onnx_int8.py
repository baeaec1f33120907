"""Integers of 8 bits in ONNX models.

What passes from convolution to convolution becomes uint8: QuantizeLinear stands
behind what makes a tensor, and DequantizeLinear before each of its users, which
onnxruntime fuses with what lies between. Kernels are int8, with a scale for
each output channel. Nodes that onnxruntime 1.10 would merge do not load, so
every DequantizeLinear has a scale of its own; kernels are stored once.
"""

from typing import Any, Collection, Dict, List, Set, Tuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

# Lowest and highest value by tensor.
Ranges = Dict[str, Tuple[float, float]]

# What takes integers and gives integers: by computing, and by moving alone.
_COMPUTING = {'Add', 'Mul', 'Relu', 'Sigmoid'}
_MOVING = {'Concat', 'MaxPool', 'Reshape', 'Resize', 'Transpose'}


def convolutions(model: Any) -> List[str]:
  """Names of the convolutions with constant kernels, the first one first."""
  constants = _constants(model)
  return [
    node.name
    for node in model.graph.node
    if node.op_type == 'Conv' and constants.issuperset(node.input[1:])
  ]


def last_convolutions(model: Any, output: str) -> List[str]:
  """Names of those between which and an output there is no other."""
  known, wanted, found = set(convolutions(model)), {output}, []
  for node in reversed(model.graph.node):
    if wanted.intersection(node.output):
      if node.name in known:
        found.append(node.name)
      else:
        wanted.update(node.input)
  return found


def integer_tensors(model: Any, chosen: Collection[str]) -> Set[str]:
  """Names of the tensors that are integers if `chosen` computes with them.

  Those are inputs and outputs of these convolutions, and what lies between two
  of them where the operators there take integers, too.
  """
  constants = _constants(model)
  nodes = model.graph.node
  users: Dict[str, List[Any]] = {}
  for node in nodes:
    for name in node.input:
      users.setdefault(name, []).append(node)
  integers = {node.input[0] for node in nodes if node.name in chosen}
  wanted = set(integers)
  for node in reversed(nodes):
    if node.op_type in _COMPUTING | _MOVING and node.output[0] in wanted:
      wanted.update(set(node.input) - constants)
  for node in nodes:
    is_between = (
      node.op_type in _COMPUTING | _MOVING
      and node.output[0] in wanted
      and integers.issuperset(set(node.input) - constants)
    )
    if node.name in chosen or is_between:
      name = node.output[0]
      if [user.op_type for user in users.get(name, ())] == ['Relu']:
        # The range of its output does what it does.
        name = users[name][0].output[0]
      integers.add(name)
  return integers


def quantize(model: Any, chosen: Collection[str], ranges: Ranges) -> Any:
  """Returns a copy of a model in which convolutions compute with integers.

  Args:
    model: onnx.ModelProto, opset 13 or later, nodes in topological order and
      with names.
    chosen: names of convolutions.
    ranges: of all `integer_tensors`.
  """
  changed = onnx.ModelProto()
  changed.CopyFrom(model)
  _Rewriting(changed.graph, ranges).run(
    chosen, integer_tensors(changed, chosen)
  )
  return changed


def _constants(model: Any) -> Set[str]:
  return {constant.name for constant in model.graph.initializer}


class _Rewriting:
  """Changes a graph in place.

  Args:
    graph: onnx.GraphProto.
    ranges: of what becomes integers.
  """

  def __init__(self, graph: Any, ranges: Ranges):
    self._graph = graph
    self._values = {c.name: c for c in graph.initializer}
    self._ranges = dict(ranges)
    self._nodes: List[Any] = []
    self._replaced: Set[str] = set()

  def run(self, chosen: Collection[str], integers: Set[str]) -> None:
    self._quantize(integers.intersection(i.name for i in self._graph.input))
    for node in list(self._graph.node):
      if node.name in chosen:
        self._use_integer_weights(node)
      if node.op_type in _MOVING and integers.issuperset(
        [node.input[0], node.output[0]]
      ):
        # Integers are moved as they are.
        self._ranges[node.output[0]] = self._ranges[node.input[0]]
      for position, name in enumerate(node.input):
        if name in integers:
          node.input[position] = self._dequantized(
            f'{node.name}/{position}', name + '/uint8', *self._scale(name)
          )
      self._nodes.append(node)
      self._quantize(integers.intersection(node.output))
    self._replace_nodes()

  def _quantize(self, names: Collection[str]) -> None:
    for name in names:
      self._add('QuantizeLinear', name + '/uint8', name, *self._scale(name))

  def _use_integer_weights(self, conv: Any) -> None:
    source, kernel_name, *bias_name = conv.input
    self._replaced.update(conv.input[1:])
    kernel = numpy_helper.to_array(self._values[kernel_name])
    scales = np.abs(kernel).max(axis=tuple(range(1, kernel.ndim))) / 127
    scales = np.where(scales > 0, scales, 1).astype(np.float32)
    shape = [-1] + [1] * (kernel.ndim - 1)
    integers = np.rint(kernel / scales.reshape(shape)).astype(np.int8)
    values = [(kernel_name + '/int8', integers, scales)]
    for name in bias_name:
      bias = numpy_helper.to_array(self._values[name])
      scales = scales * self._scale(source)[0]
      values.append(
        (f'{conv.name}/bias', np.rint(bias / scales).astype(np.int32), scales)
      )
    for position, (name, integers, scales) in enumerate(values, start=1):
      conv.input[position] = self._dequantized(
        f'{conv.name}/{position}',
        self._constant(name, integers),
        scales,
        np.zeros(scales.shape, integers.dtype),
        axis=0,
      )

  def _scale(self, tensor: str) -> Tuple[np.ndarray, np.ndarray]:
    """Returns scale and zero point; 0 is exact."""
    low, high = self._ranges[tensor]
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32((high - low) / 255 or 1.0)
    return scale, np.uint8(np.rint(-low / scale))

  def _dequantized(self, name: str, integers: str, *scale, **attributes) -> str:
    self._add('DequantizeLinear', name, integers, *scale, **attributes)
    return name

  def _add(self, op, output, source, scale, zero, **attributes) -> None:
    inputs = [
      source,
      self._constant(output + '/scale', scale),
      self._constant(output + '/zero', zero),
    ]
    self._nodes.append(
      helper.make_node(op, inputs, [output], name=output, **attributes)
    )

  def _constant(self, name: str, value: np.ndarray) -> str:
    if name not in self._values:
      self._values[name] = numpy_helper.from_array(np.asarray(value), name)
    return name

  def _replace_nodes(self) -> None:
    used = {name for node in self._nodes for name in node.input}
    for name in self._replaced - used:
      del self._values[name]
    del self._graph.node[:], self._graph.initializer[:]
    self._graph.node.extend(self._nodes)
    self._graph.initializer.extend(self._values.values())
