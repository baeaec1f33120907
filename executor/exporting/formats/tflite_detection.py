"""TFLite's detection op: decodes boxes and suppresses duplicates.

It differs from `ops` in three ways, which the contract states and the project's
predictor undoes as far as that is possible afterwards. It measures a box as
`max - min`, where `ops.box_coding` has it one pixel shorter; it clips no boxes;
and it counts classes from 0.
"""

from typing import Any, List, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.core.framework import attr_value_pb2, types_pb2

from executor.exporting import contract
from modeling import factory
from modeling.serving import signature
from ops import box_coding

# In the contract.
VARIANT = 'postprocess'
# By which ymax and xmax are too large, in pixels of the network's image.
BOX_EXCESS = 1.0
# What is added to classes.
FIRST_CLASS = 1

_OP = 'TFLite_Detection_PostProcess'


def append(
  graph_def: tf.GraphDef,
  params: Any,
  image_size: Sequence[int],
  is_normalized: bool,
  is_integer: bool,
) -> Tuple[tf.GraphDef, List[contract.TensorSpec]]:
  """Adds the op to a graph with raw outputs.

  TensorFlow does not know it, so the result cannot be imported.

  Args:
    graph_def: has the nodes of `signature.TENSOR_NAMES` for encoded boxes and
      scores, of one image.
    params: the whole config.
    image_size: (height, width) of the network's image, pixels.
    is_normalized: whether boxes come out as shares of that size; otherwise in
      pixels.
    is_integer: whether the network will be one of integers.

  Returns:
    The new graph, and what the op puts out.
  """
  with tf.Graph().as_default() as graph:
    tf.import_graph_def(graph_def, name='')
    encoded = graph.get_tensor_by_name(
      signature.TENSOR_NAMES['raw_encoded_boxes'] + ':0'
    )
    if not is_integer:
      # The op's exponential has no bound of its own. Integers have: the largest
      # value of the images that they are calibrated with.
      no_bound = np.finfo(np.float32).max
      bound = [[[no_bound] * 2 + [box_coding.MAX_LOG_SCALE] * 2]]
      encoded = tf.minimum(encoded, tf.constant(bound, tf.float32))
    by_level = factory.anchor_boxes(params, *image_size)
    boxes = np.concatenate([by_level[level] for level in sorted(by_level)])
    boxes = _centers_and_sizes(boxes)
    if is_normalized:
      boxes = boxes / np.tile(np.float32(image_size), 2)
    inputs = [
      encoded.op.name,
      signature.TENSOR_NAMES['raw_scores'],
      tf.constant(boxes, tf.float32).op.name,
    ]
    new = graph.as_graph_def()
  settings = params.postprocess
  node = new.node.add(name=_OP, op=_OP, input=inputs)
  for name, value in (
    ('max_detections', settings.max_total_size),
    ('detections_per_class', settings.max_total_size),
    ('max_classes_per_detection', 1),
    ('num_classes', params.architecture.num_classes - 1),
  ):
    node.attr[name].i = value
  for name, value in (
    ('nms_score_threshold', settings.score_threshold),
    ('nms_iou_threshold', settings.nms_iou_threshold),
    ('y_scale', 1.0),
    ('x_scale', 1.0),
    ('h_scale', 1.0),
    ('w_scale', 1.0),
  ):
    node.attr[name].f = value
  # Class by class, as `ops.nms`.
  node.attr['use_regular_nms'].b = True
  node.attr['_output_types'].list.CopyFrom(
    attr_value_pb2.AttrValue.ListValue(type=[types_pb2.DT_FLOAT] * 4)
  )
  node.attr['_output_quantized'].b = True
  node.attr['_support_output_type_float_in_quantized_op'].b = True
  slots = (1, settings.max_total_size)
  shapes = {
    'detection_boxes': slots + (4,),
    'detection_classes': slots,
    'detection_scores': slots,
    'num_detections': (1,),
  }
  return new, [
    contract.TensorSpec(key, '{}:{}'.format(_OP, i), 'float32', shape)
    for i, (key, shape) in enumerate(shapes.items())
  ]


def _centers_and_sizes(boxes: np.ndarray) -> np.ndarray:
  """Anchors [n, 4] to `[y, x, height, width]` as `decode_boxes` has them."""
  sizes = boxes[:, 2:] - boxes[:, :2] + 1.0
  return np.concatenate([boxes[:, :2] + 0.5 * sizes, sizes], axis=1)
