"""Detections of models that put out raw boxes and scores."""

import os
from typing import Any, Dict

import numpy as np
import tensorflow.compat.v1 as tf

from configs import resolver
from modeling import served_output
from ops import anchors, box_coding, postprocess_ops
from serving import contract as contract_lib

_KINDS = {
  'num_detections': served_output.COUNT,
  'detection_boxes': served_output.BOXES,
  'detection_classes': served_output.CLASSES,
  'detection_scores': served_output.SCORES,
}


class Suppression:
  """Detections from raw boxes and scores, as the config has it.

  Args:
    export_dir: holds the config.
    contract: of that directory.
    artefact: whose outputs are raw.
  """

  def __init__(
    self,
    export_dir: str,
    contract: contract_lib.Contract,
    artefact: contract_lib.Artefact,
  ):
    params = resolver.resolve(
      config_file=os.path.join(
        export_dir, contract_lib.DIRECTORY, resolver.FILE_NAME
      ),
      flags={'use_tpu': False},
      mode='export',
    ).params
    settings = params.postprocess
    suppress = postprocess_ops.NMS_VERSIONS.get(
      postprocess_ops.nms_version(settings)
    )
    shapes = {spec.kind: spec.shape for spec in artefact.outputs}
    is_decoded = served_output.RAW_BOXES in shapes
    self._fed_kinds = (
      served_output.RAW_BOXES
      if is_decoded
      else served_output.RAW_ENCODED_BOXES,
      served_output.RAW_SCORES,
    )
    with tf.Graph().as_default() as graph:
      fed = [tf.placeholder(tf.float32, shapes[k]) for k in self._fed_kinds]
      boxes, scores = fed
      if is_decoded:
        boxes = tf.squeeze(boxes, axis=2)
      else:
        boxes = _decode(boxes, params, contract)
      found = suppress(boxes, scores, settings)
    session = tf.Session(
      graph=graph, config=tf.ConfigProto(device_count={'GPU': 0})
    )
    self._call = session.make_callable(
      {kind: found[key] for key, kind in _KINDS.items()}, fed
    )

  def __call__(self, outputs: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Takes raw outputs and returns detections, both by kind."""
    return self._call(*(outputs[kind] for kind in self._fed_kinds))


def _decode(
  encoded_boxes: tf.Tensor, params: Any, contract: contract_lib.Contract
) -> tf.Tensor:
  """Boxes [batch, n, 4], clipped, in the frame of the contract."""
  by_level = anchors.from_params(params, contract.padded_size).boxes_by_level
  anchor_boxes = np.concatenate([by_level[level] for level in sorted(by_level)])
  boxes = box_coding.decode_boxes(encoded_boxes, tf.constant(anchor_boxes))
  size = tf.constant([[contract.image_size]], tf.float32)
  boxes = postprocess_ops.clip_boxes(boxes, size)
  if contract.coordinates == contract_lib.NORMALIZED:
    boxes /= np.tile(np.float32(contract.padded_size), 2)
  return boxes
