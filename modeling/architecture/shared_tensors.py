"""Tensors that a graph has once, however many parts of it ask for them.

Each node of a graph costs time at every start.
"""

import weakref
from typing import Any, Callable, Dict

import tensorflow.compat.v1 as tf

# Names by graph and key: a tensor would keep its graph alive.
_names: 'weakref.WeakKeyDictionary[tf.Graph, Dict[str, str]]' = (
  weakref.WeakKeyDictionary()
)


def constant(value: Any) -> tf.Tensor:
  """Returns that of the default graph: a number, a list or a small array."""
  return _shared(repr(value), lambda: tf.constant(value))


def initial_values(
  getter: Callable[..., tf.Variable], **given: Any
) -> tf.Variable:
  """Custom getter: variables of a shape that begin as zeros or ones share them.

  See `custom_getter` of `tf.variable_scope`.
  """
  make, dtype = given['initializer'], given['dtype']
  # Workers tell one another initial values, each from a device of its own.
  if not tf.distribute.has_strategy() and isinstance(
    make, (tf.zeros_initializer, tf.ones_initializer)
  ):
    shape = tf.TensorShape(given['shape'])
    with tf.init_scope(), tf.device(None):
      value = _shared(
        f'{type(make).__name__} {shape} {dtype}', lambda: make(shape, dtype)
      )
    given['initializer'] = lambda *unused, **unused_too: value
  return getter(**given)


def _shared(key: str, make: Callable[[], tf.Tensor]) -> tf.Tensor:
  graph = tf.get_default_graph()
  names = _names.setdefault(graph, {})
  if key not in names:
    # Outside of a loop that the first one to ask may be in.
    with tf.control_dependencies(None):
      names[key] = make().name
  return graph.get_tensor_by_name(names[key])
