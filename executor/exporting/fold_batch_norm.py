"""Batch norm with moving statistics, folded into the convolution before it.

It multiplies each channel by a constant and adds another, so that convolution
and batch norm together are a convolution with a bias. A kernel that several
batch norms follow, as in a head that all levels of a pyramid share, stays as it
is: copies would cost more memory than they save time.
"""

import collections
from typing import List, NamedTuple, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

_BATCH_NORMS = ('FusedBatchNorm', 'FusedBatchNormV2', 'FusedBatchNormV3')
_CONVOLUTIONS = ('Conv2D', 'DepthwiseConv2dNative')


class _Parameters(NamedTuple):
  """Of a batch norm: float32 [channels] each."""

  scale: np.ndarray
  offset: np.ndarray
  mean: np.ndarray
  variance: np.ndarray


class _Graph:
  """Nodes of a GraphDef, and who reads them."""

  def __init__(self, graph_def: tf.GraphDef):
    self.nodes = {node.name: node for node in graph_def.node}
    self._num_readers = collections.Counter(
      _node_name(name) for node in graph_def.node for name in node.input
    )

  def source(self, tensor: str) -> tf.NodeDef:
    return self.nodes[_node_name(tensor)]

  def is_read_once(self, node: tf.NodeDef) -> bool:
    return self._num_readers[node.name] == 1

  def weights(self, tensor: str) -> Optional[tf.NodeDef]:
    """The constant behind a tensor, also behind a cast of it, or None."""
    node = self.source(tensor)
    while node.op in ('Cast', 'Identity'):
      node = self.source(node.input[0])
    return node if node.op == 'Const' else None

  def has_one_reader(self, tensor: str) -> bool:
    """Whether weights, and casts of them on the way, are read only once."""
    node = self.source(tensor)
    while node.op in ('Cast', 'Identity') and self.is_read_once(node):
      node = self.source(node.input[0])
    return node.op == 'Const' and self.is_read_once(node)


class _Convolution(NamedTuple):
  """A convolution before a batch norm.

  Attributes:
    node: the convolution.
    bias_add: node that adds a bias to it, or None.
  """

  node: tf.NodeDef
  bias_add: Optional[tf.NodeDef]


def fold(graph_def: tf.GraphDef) -> Tuple[tf.GraphDef, List[str]]:
  """Folds each batch norm that follows a convolution with its own kernel.

  Where the kernel is shared, a bias before the batch norm is still folded into
  its moving mean. Names of kernels and of tensors behind batch norms stay.

  Args:
    graph_def: a frozen graph, not changed.

  Returns:
    The new graph, in which nodes that nothing reads are left, and the names of
    the constants that are new.
  """
  folded = tf.GraphDef()
  folded.CopyFrom(graph_def)
  graph = _Graph(folded)
  new_nodes: List[tf.NodeDef] = []
  for node in list(folded.node):
    if node.op not in _BATCH_NORMS or node.attr['is_training'].b:
      continue
    parameters = _parameters(graph, node)
    convolution = _convolution_before(graph, node)
    if parameters is None or convolution is None:
      continue
    if graph.has_one_reader(convolution.node.input[1]):
      new_nodes += _fold_into_kernel(graph, node, convolution, parameters)
    elif convolution.bias_add is not None:
      new_nodes += _fold_bias_into_mean(graph, node, convolution, parameters)
  folded.node.extend(new_nodes)
  return folded, [n.name for n in new_nodes if n.op == 'Const']


def _parameters(graph: _Graph, node: tf.NodeDef) -> Optional[_Parameters]:
  constants = [graph.weights(name) for name in node.input[1:5]]
  if any(constant is None for constant in constants):
    return None
  return _Parameters(*[_value(constant) for constant in constants])


def _convolution_before(
  graph: _Graph, node: tf.NodeDef
) -> Optional[_Convolution]:
  """The convolution that only this batch norm reads, or None."""
  before, bias_add = graph.source(node.input[0]), None
  if before.op == 'BiasAdd' and graph.weights(before.input[1]) is not None:
    bias_add, before = before, graph.source(before.input[0])
  chain = [n for n in (before, bias_add) if n is not None]
  if (
    before.op not in _CONVOLUTIONS
    or before.attr['data_format'].s != b'NHWC'
    or not all(graph.is_read_once(n) for n in chain)
  ):
    return None
  return _Convolution(before, bias_add)


def _fold_into_kernel(
  graph: _Graph,
  node: tf.NodeDef,
  convolution: _Convolution,
  parameters: _Parameters,
) -> List[tf.NodeDef]:
  """Turns the batch norm into a bias; returns nodes to add."""
  epsilon = node.attr['epsilon'].f
  factor = parameters.scale / np.sqrt(parameters.variance + epsilon)
  bias = -parameters.mean
  kernel = graph.weights(convolution.node.input[1])
  if convolution.bias_add is not None:
    bias = bias + _value(graph.weights(convolution.bias_add.input[1]))
  bias = bias * factor + parameters.offset
  weights = _value(kernel)
  if convolution.node.op == 'DepthwiseConv2dNative':
    # [height, width, input channels, outputs of each]
    factor = factor.reshape(weights.shape[2:])
  _set_value(kernel, weights * factor)

  new_nodes: List[tf.NodeDef] = []
  if convolution.bias_add is not None and graph.has_one_reader(
    convolution.bias_add.input[1]
  ):
    bias_name = convolution.bias_add.input[1]
    _set_value(graph.weights(bias_name), bias)
  else:
    scope = kernel.name.rpartition('/')[0]
    new_nodes = _new_bias(graph, scope + '/bias', bias, node.attr['T'])
    bias_name = new_nodes[-1].name
  _make_bias_add(node, convolution.node.name, bias_name)
  return new_nodes


def _fold_bias_into_mean(
  graph: _Graph,
  node: tf.NodeDef,
  convolution: _Convolution,
  parameters: _Parameters,
) -> List[tf.NodeDef]:
  """Subtracts the bias from the moving mean in place of adding it before."""
  if graph.has_one_reader(node.input[3]):
    bias = _value(graph.weights(convolution.bias_add.input[1]))
    _set_value(graph.weights(node.input[3]), parameters.mean - bias)
    node.input[0] = convolution.node.name
  return []


def _new_bias(
  graph: _Graph, name: str, bias: np.ndarray, dtype: tf.AttrValue
) -> List[tf.NodeDef]:
  constant = tf.NodeDef(name=_free_name(graph, name), op='Const')
  constant.attr['dtype'].type = tf.float32.as_datatype_enum
  _set_value(constant, bias)
  new_nodes = [constant]
  if dtype.type != tf.float32.as_datatype_enum:
    cast = tf.NodeDef(name=constant.name + '/Cast', op='Cast')
    cast.input.append(constant.name)
    cast.attr['SrcT'].type = tf.float32.as_datatype_enum
    cast.attr['DstT'].CopyFrom(dtype)
    new_nodes.append(cast)
  graph.nodes.update((new.name, new) for new in new_nodes)
  return new_nodes


def _make_bias_add(node: tf.NodeDef, inputs: str, bias: str) -> None:
  dtype = tf.AttrValue()
  dtype.CopyFrom(node.attr['T'])
  node.op = 'BiasAdd'
  node.ClearField('input')
  node.input.extend([inputs, bias])
  node.ClearField('attr')
  node.attr['T'].CopyFrom(dtype)
  node.attr['data_format'].s = b'NHWC'


def _value(constant: tf.NodeDef) -> np.ndarray:
  return tf.make_ndarray(constant.attr['value'].tensor)


def _set_value(constant: tf.NodeDef, value: np.ndarray) -> None:
  constant.attr['value'].tensor.CopyFrom(
    tf.make_tensor_proto(np.float32(value))
  )


def _node_name(tensor: str) -> str:
  return tensor.lstrip('^').split(':')[0]


def _free_name(graph: _Graph, name: str) -> str:
  free, count = name, 0
  while free in graph.nodes:
    count += 1
    free = '{}_{}'.format(name, count)
  return free
