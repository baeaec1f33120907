"""RetinaNet (Lin et al., arXiv:1708.02002)."""

from typing import Any, Callable, Dict, Tuple

import tensorflow.compat.v1 as tf

from modeling import base_model, served_output
from modeling.training import moving_normalizer, replicas
from utils import errors, mode_keys

Tensors = Dict[str, Any]
_Served = served_output.ServedOutput


class RetinanetModel(base_model.DetectionModel):
  """Backbone, neck, head; focal and Huber loss; detections by NMS.

  Args:
    backbone: `(images, is_training)` to {level: features}.
    neck: `(features, is_training)` to {level: features}.
    head: `(features, is_training)` to class logits and boxes by level.
    detection_generator: `(box_outputs, class_outputs, anchor_boxes,
      image_shape)` to a dict of detections.
    class_loss: `(logits, targets, num_positives)` to a scalar.
    box_loss: `(boxes, targets, num_positives)` to a scalar.
    anchors: function of (height, width) to {level: float32 [n, 4]}, pixels of
      the model's image.
    max_level: coarsest level; image sides have to be multiples of its stride.
    box_loss_weight: factor of the box loss.
    normalizer_momentum: above 0, training divides the losses by a moving
      average of the number of positive anchors.
    output_flat_fpn_features: whether the graph gets a `RawFpnFeatures` node.
    **kwargs: of `DetectionModel`.
  """

  served_outputs = {
    'num_detections': _Served('NumDetections', served_output.COUNT),
    'detection_boxes': _Served('DetectionBoxes', served_output.BOXES),
    'detection_classes': _Served('DetectionClasses', served_output.CLASSES),
    'detection_scores': _Served('DetectionScores', served_output.SCORES),
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
    anchors: Callable[[int, int], Dict[int, Any]],
    max_level: int,
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
    self._stride = 2**max_level
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
    if not is_training:
      self._check_image_size(images)
    features = self._backbone(images, is_training)
    features = self._neck(features, is_training)
    class_outputs, box_outputs = self._head(features, is_training)
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
    outputs = {'cls_outputs': class_outputs, 'box_outputs': box_outputs}
    if not is_training:
      with tf.name_scope('detections'):
        outputs.update(
          self._detection_generator(
            box_outputs,
            class_outputs,
            self._anchor_boxes(images, labels),
            labels['image_info'][:, 1:2, :],
          )
        )
    return outputs

  def _check_image_size(self, images: tf.Tensor) -> None:
    height, width = images.shape.as_list()[1:3]
    for side in (height, width):
      if side is not None and side % self._stride:
        raise errors.ConfigError(
          'The image is {} x {} pixels (height x width); both sides have to '
          'be multiples of {}, the stride of architecture.max_level. Pad the '
          'image or lower architecture.max_level.'.format(
            height, width, self._stride
          )
        )

  def _anchor_boxes(
    self, images: tf.Tensor, labels: Tensors
  ) -> Dict[int, tf.Tensor]:
    if 'anchor_boxes' in labels:
      return labels['anchor_boxes']
    height, width = images.shape.as_list()[1:3]
    return {
      level: tf.constant(boxes[None])
      for level, boxes in self._anchors(height, width).items()
    }

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

  def build_predictions(self, outputs: Tensors, labels: Tensors) -> Tensors:
    """Detections, and groundtruth and losses where labels carry them.

    Returns:
      A flat dict of tensors with leading dimension batch; boxes in pixels of
      the model's image under `pred_`, of the original one under `gt_`.
    """
    if 'num_detections' not in outputs:
      raise errors.ConfigError(
        'postprocess.apply_nms: false gives raw boxes and scores, which '
        'cannot be evaluated; set it to true.'
      )
    predictions = {
      'pred_image_info': labels['image_info'],
      'pred_num_detections': outputs['num_detections'],
      'pred_detection_boxes': outputs['detection_boxes'],
      'pred_detection_classes': outputs['detection_classes'],
      'pred_detection_scores': outputs['detection_scores'],
    }
    if 'is_padding' in labels:
      predictions['pred_is_padding'] = labels['is_padding']
    if 'groundtruths' not in labels:
      return predictions
    groundtruths = labels['groundtruths']
    predictions['pred_source_id'] = groundtruths['source_id']
    predictions['gt_image_info'] = labels['image_info']
    for key, value in groundtruths.items():
      key = 'num_detections' if key == 'num_groundtruths' else key
      predictions['gt_' + key] = value
    if 'is_padding' in labels:
      predictions['gt_is_padding'] = labels['is_padding']
    # For the log only, so always by this batch's own number of positives.
    losses = self.build_losses(outputs, labels, is_training=False)
    batch_size = tf.shape(labels['image_info'])[0]
    for key, value in losses.items():
      predictions['loss_' + key] = tf.tile([value], [batch_size])
    return predictions


def _share_of_replica(mean_normalizer: tf.Tensor) -> tf.Tensor:
  """The normaliser of one replica, from its mean over all n of them.

  The losses add 1 to it. What n replicas divide by has to be 1/n of what one
  device would, (n * mean + 1) / n, since their gradients are averaged.
  """
  num_replicas = replicas.num_replicas()
  if num_replicas == 1:
    return mean_normalizer
  return mean_normalizer - 1.0 + 1.0 / num_replicas
