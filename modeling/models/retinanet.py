"""RetinaNet (Lin et al., arXiv:1708.02002)."""

import functools
from typing import Any, Callable, Dict, Tuple

import tensorflow.compat.v1 as tf

from modeling import base_model, losses, model_registry, served_output
from modeling.architecture import backbone_and_neck, layer_kit
from modeling.architecture.heads import retinanet_head
from modeling.training import moving_normalizer, replicas
from ops import anchors as anchors_lib
from ops import postprocess_ops
from utils import errors, mode_keys

Tensors = Dict[str, Any]
_Served = served_output.ServedOutput


class RetinanetModel(base_model.Model):
  """Backbone, neck, head; focal and Huber loss; detections by NMS.

  Args:
    backbone: `(images, is_training)` to {level: features}.
    neck: `(features, is_training)` to {level: features}.
    head: `(features, is_training)` to class logits and boxes by level.
    detection_generator: `(box_outputs, class_outputs, anchor_boxes,
      image_shape)` to a dict of detections.
    class_loss: `(logits, targets, num_positives)` to a scalar.
    box_loss: `(boxes, targets, num_positives)` to a scalar.
    anchors: function of the network's (height, width) to `ops.anchors.Anchors`.
    box_loss_weight: factor of the box loss.
    normalizer_momentum: above 0, training divides the losses by a moving
      average of the number of positive anchors.
    output_flat_fpn_features: whether the graph gets a `RawFpnFeatures` node.
    **kwargs: of `Model`.
  """

  watched_losses = ('cls_loss', 'box_loss')
  losses_add_up = True
  predicted = ('image_info', *served_output.DETECTIONS)
  served_outputs = {
    **served_output.DETECTIONS,
    'raw_boxes': _Served('RawBoxes', served_output.RAW_BOXES),
    'raw_encoded_boxes': _Served(
      'RawEncodedBoxes', served_output.RAW_ENCODED_BOXES
    ),
    'raw_scores': _Served('RawScores', served_output.RAW_SCORES),
  }

  def __init__(
    self,
    backbone: Callable[..., Any],
    neck: Callable[..., Any],
    head: Callable[..., Any],
    detection_generator: Callable[..., Any],
    class_loss: Callable[..., Any],
    box_loss: Callable[..., Any],
    anchors: Callable[[Tuple[int, int]], anchors_lib.Anchors],
    box_loss_weight: float = 50.0,
    normalizer_momentum: float = 0.0,
    output_flat_fpn_features: bool = False,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._backbone = backbone
    self._neck = neck
    self._head = head
    self._detection_generator = detection_generator
    self._class_loss = class_loss
    self._box_loss = box_loss
    self._anchors = anchors
    self._box_loss_weight = float(box_loss_weight)
    self._normalizer_momentum = normalizer_momentum
    self._output_flat_fpn_features = output_flat_fpn_features

  def _build_outputs(
    self, images: tf.Tensor, labels: Tensors, mode: str
  ) -> Tensors:
    """Returns `cls_outputs` and `box_outputs`, dicts by level.

    Outside training also the detection generator's outputs, in pixels of the
    model's image.
    """
    is_training = mode == mode_keys.TRAIN
    features, outputs = self._features_and_outputs(images, is_training)
    if self._output_flat_fpn_features:
      flat = [
        tf.reshape(
          features[level],
          [tf.shape(images)[0], features[level].shape[1:].num_elements()],
        )
        for level in sorted(features)
      ]
      tf.concat(flat, axis=1, name='RawFpnFeatures')
    self._log_stats(images)
    if not is_training:
      outputs.update(self._detections(outputs, images, labels))
    return outputs

  def _features_and_outputs(
    self, images: tf.Tensor, is_training: bool
  ) -> Tuple[Dict[int, tf.Tensor], Tensors]:
    """The pyramid by level, and what the head makes of it."""
    features = self._backbone(images, is_training)
    features = self._neck(features, is_training)
    class_outputs, box_outputs = self._head(features, is_training)
    outputs = {'cls_outputs': class_outputs, 'box_outputs': box_outputs}
    return features, outputs

  def _detections(
    self, outputs: Tensors, images: tf.Tensor, labels: Tensors
  ) -> Tensors:
    with tf.name_scope('detections'):
      return self._detection_generator(
        outputs['box_outputs'],
        outputs['cls_outputs'],
        base_model.anchor_boxes(self._anchors, images, labels),
        labels['image_info'][:, 1:2, :],
      )

  def loss_normalizer(
    self, labels: Tensors, is_training: bool = True
  ) -> Tuple[tf.Tensor, Tensors]:
    """Number of positive anchors in a batch, or its moving average.

    In training on several replicas they are divided by what all of them have,
    so that the mean over the replicas is the loss of the global batch.

    Args:
      labels: `num_positives` [batch].
      is_training: whether the moving average, if there is one, is used and
        moved on.

    Returns:
      A scalar, and with a moving average `num_positive_sum` and
      `moving_normalizer` to log.
    """
    num_positives = tf.reduce_sum(labels['num_positives'])
    if not is_training:
      return num_positives, {}
    if self._normalizer_momentum <= 0:
      normalizer = replicas.mean_over_replicas(num_positives)
      return _share_of_replica(normalizer), {}
    normalizer = moving_normalizer.moving_normalizer(
      num_positives, self._normalizer_momentum
    )
    return _share_of_replica(normalizer), {
      'num_positive_sum': num_positives,
      'moving_normalizer': normalizer,
    }

  def build_losses(
    self, outputs: Tensors, labels: Tensors, is_training: bool = True
  ) -> Tensors:
    """Scalar losses of a batch, and what there is to log of its normaliser."""
    normalizer, logged = self.loss_normalizer(labels, is_training)
    return dict(self.normalized_losses(outputs, labels, normalizer), **logged)

  def normalized_losses(
    self, outputs: Tensors, labels: Tensors, normalizer: tf.Tensor
  ) -> Tensors:
    """Losses of a batch, or a part of it.

    Args:
      outputs: of `build_outputs`.
      labels: `cls_targets` {level: int32 [batch, h, w, anchors]} and
        `box_targets` {level: [batch, h, w, anchors * 4]}.
      normalizer: of `loss_normalizer`.

    Returns:
      Scalars `cls_loss`, `box_loss`, `model_loss`.
    """
    with tf.name_scope('losses'):
      class_loss = self._class_loss(
        outputs['cls_outputs'], labels['cls_targets'], normalizer
      )
      box_loss = self._box_loss(
        outputs['box_outputs'], labels['box_targets'], normalizer
      )
      return {
        'cls_loss': class_loss,
        'box_loss': box_loss,
        'model_loss': class_loss + self._box_loss_weight * box_loss,
      }

  def predictions(self, outputs: Tensors, labels: Tensors) -> Tensors:
    """Detections [batch, ...]; boxes in pixels of the model's image."""
    if 'num_detections' not in outputs:
      raise errors.ConfigError(
        'postprocess.apply_nms: false gives raw boxes and scores, which '
        'cannot be evaluated; set it to true.'
      )
    known = dict(outputs, image_info=labels['image_info'])
    return {key: known[key] for key in self.predicted}


@model_registry.register_model('retinanet')
def from_params(params: Any) -> RetinanetModel:
  """Builds the model from the whole config."""
  return RetinanetModel(
    normalizer_momentum=params.retinanet_loss.normalizer_momentum,
    output_flat_fpn_features=params.architecture.output_flat_fpn_features,
    **arguments(params, layer_kit.from_params(params)),
  )


def arguments(params: Any, layers: layer_kit.LayerKit) -> Dict[str, Any]:
  """Arguments of `RetinanetModel` that models built upon it give alike."""
  architecture = params.architecture
  settings = params.retinanet_loss
  backbone = backbone_and_neck.backbone_generator(params, layers)
  return dict(
    backbone=backbone,
    neck=backbone_and_neck.neck_generator(params, layers),
    head=retinanet_head.from_params(params, layers),
    detection_generator=postprocess_ops.MultilevelDetectionGenerator(
      architecture.min_level, architecture.max_level, params.postprocess
    ),
    class_loss=losses.RetinanetClassLoss(
      settings.focal_loss_alpha,
      settings.focal_loss_gamma,
      architecture.num_classes,
      recompute=layers.recompute,
    ),
    box_loss=losses.RetinanetBoxLoss(settings.huber_loss_delta),
    anchors=functools.partial(anchors_lib.from_params, params),
    box_loss_weight=settings.box_loss_weight,
    stride=2**architecture.max_level,
    **base_model.shared_arguments(params, backbone.scope),
  )


def _share_of_replica(mean_normalizer: tf.Tensor) -> tf.Tensor:
  """The normaliser of one replica, from its mean over all n of them.

  The losses add 1 to it. What n replicas divide by has to be 1/n of what one
  device would, (n * mean + 1) / n, since their gradients are averaged.
  """
  num_replicas = replicas.num_replicas()
  if num_replicas == 1:
    return mean_normalizer
  return mean_normalizer - 1.0 + 1.0 / num_replicas
