"""Part of a serving graph that runs on a TPU."""

from typing import Callable, Dict, Sequence

import tensorflow.compat.v1 as tf
from tensorflow.python.framework import function
from tensorflow.python.tpu import functional as tpu_functional
from tensorflow.python.tpu.ops import tpu_ops

Network = Callable[..., Dict[str, tf.Tensor]]


def on_tpu(network: Network, further: Sequence[str]) -> Network:
  """Returns a network that is compiled for one TPU core.

  Each call goes to the next core of the host, as with models that a
  TPUEstimator exports. Nodes keep the names that they have in the network.

  Args:
    network: of tensors with static shapes to tensors by key.
    further: nodes of the network that clients fetch as well, where they exist.
  """

  def wrapped(*inputs: tf.Tensor) -> Dict[str, tf.Tensor]:
    outputs: Dict[str, tf.Tensor] = {}

    def collected(*inputs):
      outputs.update(network(*inputs))
      outputs.update(
        (op.name, op.outputs[0])
        for op in tf.get_default_graph().get_operations()
        if op.name in further
      )
      return list(outputs.values())

    @function.Defun(capture_resource_var_by_value=False)
    def on_any_core():
      return tf.tpu.rewrite(collected, list(inputs))

    results = tpu_functional.TPUPartitionedCall(
      args=on_any_core.captured_inputs,
      device_ordinal=tpu_ops.tpu_ordinal_selector(),
      Tout=[o.type for o in on_any_core.definition.signature.output_arg],
      f=on_any_core,
    )
    served = {}
    for (key, inner), result in zip(outputs.items(), results):
      result.set_shape(inner.shape)
      served[key] = tf.identity(result, inner.op.name)
    return {key: served[key] for key in served if key not in further}

  return wrapped
