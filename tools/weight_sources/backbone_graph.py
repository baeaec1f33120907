"""A backbone as a graph of its own, at inference."""

from typing import Any, Dict, List, NamedTuple

import tensorflow.compat.v1 as tf

from modeling.architecture import backbone_and_neck, layer_kit


class BackboneGraph(NamedTuple):
  """Graph of a backbone.

  Attributes:
    graph: holds nothing else.
    scope: of the variables.
    images: placeholder [batch, height, width, 3], normalised.
    outputs: {level: [batch, height / 2^level, width / 2^level, channels]}.
    variables: all that it has.
  """

  graph: tf.Graph
  scope: str
  images: tf.Tensor
  outputs: Dict[int, tf.Tensor]
  variables: List[tf.Variable]


def build(params: Any) -> BackboneGraph:
  """Returns the backbone that `architecture.backbone` names."""
  graph = tf.Graph()
  with graph.as_default():
    backbone = backbone_and_neck.backbone_generator(
      params, layer_kit.from_params(params)
    )
    images = tf.placeholder(tf.float32, [None, None, None, 3])
    outputs = backbone(images, is_training=False)
    return BackboneGraph(
      graph, backbone.scope, images, outputs, tf.global_variables()
    )
