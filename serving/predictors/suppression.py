"""Detections of models that put out raw boxes and scores."""

import os
from typing import Any, Dict

import numpy as np
import tensorflow.compat.v1 as tf

from configs import resolver
from modeling import factory
from ops import box_coding, postprocess_ops
from serving import contract as contract_lib

_PARAMS = 'params.yaml'


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
      config_file=os.path.join(export_dir, contract_lib.DIRECTORY, _PARAMS),
      flags={'use_tpu': False},
      mode='export',
    ).params
    settings = params.postprocess
    version = 'batched' if settings.use_batched_nms else settings.nms_version
    suppress = postprocess_ops.NMS_VERSIONS.get(version)
    is_normalized = contract.coordinates == contract_lib.NORMALIZED
    specs = {spec.key: spec for spec in artefact.outputs}
    self._boxes_key = (
      'raw_boxes' if 'raw_boxes' in specs else 'raw_encoded_boxes'
    )
    with tf.Graph().as_default() as graph:
      fed_boxes = tf.placeholder(tf.float32, specs[self._boxes_key].shape)
      scores = tf.placeholder(tf.float32, specs['raw_scores'].shape)
      if self._boxes_key == 'raw_boxes':
        boxes = tf.squeeze(fed_boxes, axis=2)
      else:
        boxes = _decode(fed_boxes, params, contract)
        if is_normalized:
          boxes /= np.tile(np.float32(contract.padded_size), 2)
      detections = suppress(boxes, scores, settings)
    session = tf.Session(
      graph=graph, config=tf.ConfigProto(device_count={'GPU': 0})
    )
    self._call = session.make_callable(detections, [fed_boxes, scores])

  def __call__(self, outputs: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    return self._call(outputs[self._boxes_key], outputs['raw_scores'])


def _decode(
  encoded_boxes: tf.Tensor, params: Any, contract: contract_lib.Contract
) -> tf.Tensor:
  """Boxes [batch, n, 4] in pixels of the network's image, clipped."""
  by_level = factory.anchor_boxes(params, *contract.padded_size)
  anchor_boxes = np.concatenate([by_level[level] for level in sorted(by_level)])
  boxes = box_coding.decode_boxes(encoded_boxes, tf.constant(anchor_boxes))
  size = tf.constant([[contract.image_size]], tf.float32)
  return postprocess_ops.clip_boxes(boxes, size)
