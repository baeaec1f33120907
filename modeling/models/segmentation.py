"""Semantic segmentation."""

from typing import Any, Callable, Dict, List, Sequence, Tuple

import tensorflow.compat.v1 as tf

from modeling import base_model, losses, model_registry, served_output
from modeling.architecture import (
  aspp,
  backbone_and_neck,
  convolutions,
  layer_kit,
  pyramid_fusion,
)
from modeling.architecture.heads import segmentation_head
from modeling.training import replicas
from ops import class_maps
from utils import mode_keys

Tensors = Dict[str, Any]
_Served = served_output.ServedOutput


class SegmentationModel(base_model.Model):
  """Backbone, neck, head on one level; cross entropy of pixels; mean IoU.

  Args:
    backbone: `(images, is_training)` to {level: features}.
    neck: `(features, is_training)` to {level: features}.
    head: `(features, is_training)` to logits.
    class_loss: `(logits, classes, normalizer)` to a scalar.
    level: of the pyramid, that the head takes.
    ignore_label: of pixels that take no part.
    use_aspp: whether `aspp` changes the highest level of the backbone.
    use_pyramid_fusion: whether `level` becomes the sum of all levels.
    use_groundtruth_dimension: whether logits are resized to the label maps for
      the loss, and not these to the logits.
    **kwargs: of `Model`.
  """

  predicted = ('class_map', 'image_info')
  served_outputs = {'logits': _Served('Logits', served_output.LOGITS)}
  # Keys and nodes are those that clients know, as are the inputs'.
  encoded_outputs = {
    'category_bytes': _Served('category_bytes', served_output.CLASS_MAPS),
    'score_bytes': _Served('score_bytes', served_output.CLASS_MAP_SCORES),
    'key': _Served('key_1', served_output.KEY),
    'image_info': _Served('image_info', served_output.IMAGE_INFO),
  }
  encoded_input = 'image_bytes'
  further_inputs = {
    'key': served_output.FurtherInput('key', ['default']),
    'score_thresholds': served_output.FurtherInput('Placeholder_1', [0.0]),
  }

  def __init__(
    self,
    backbone: Callable[..., Any],
    neck: Callable[..., Any],
    head: Callable[..., Any],
    class_loss: Callable[..., Any],
    level: int,
    ignore_label: int = 255,
    use_aspp: bool = False,
    use_pyramid_fusion: bool = False,
    use_groundtruth_dimension: bool = True,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._backbone = backbone
    self._neck = neck
    self._head = head
    self._class_loss = class_loss
    self._level = level
    self._ignore_label = ignore_label
    self._use_aspp = use_aspp
    self._use_pyramid_fusion = use_pyramid_fusion
    # Else the size of the logits decides which pixels count.
    self.losses_add_up = use_groundtruth_dimension

  def _build_outputs(
    self, images: tf.Tensor, labels: Any, mode: str
  ) -> Tensors:
    """Returns `logits` [batch, height, width, num_classes].

    They have the stride of the head's level, divided by the factor by which
    the head upsamples.
    """
    del labels
    is_training = mode == mode_keys.TRAIN
    features = self._backbone(images, is_training)
    if self._use_aspp:
      top = max(features)
      features = {**features, top: aspp.aspp(features[top], is_training)}
    features = self._neck(features, is_training)
    if self._use_pyramid_fusion:
      features = pyramid_fusion.fuse(features, self._level)
    logits = self._head(features[self._level], is_training)
    self._log_stats(images)
    return {'logits': logits}

  def loss_normalizer(
    self, labels: Tensors, is_training: bool = True
  ) -> Tuple[tf.Tensor, Tensors]:
    """Number of pixels that count, at least 1, and nothing to log.

    In training on several replicas it is the mean of theirs, so that the mean
    of their losses is the loss of the global batch.

    Args:
      labels: `masks` [batch, height, width, 1].
      is_training: see above.
    """
    counted = tf.not_equal(labels['masks'], float(self._ignore_label))
    count = tf.reduce_sum(tf.cast(counted, tf.float32))
    if is_training:
      count = replicas.mean_over_replicas(count)
    return tf.maximum(count, 1.0), {}

  def build_losses(
    self, outputs: Tensors, labels: Tensors, is_training: bool = True
  ) -> Tensors:
    """Scalar `model_loss`, the mean over the pixels of a batch that count."""
    if not self.losses_add_up:
      size = tuple(outputs['logits'].shape.as_list()[1:3])
      labels = {'masks': convolutions.native_resize(labels['masks'], size)}
    normalizer, _ = self.loss_normalizer(labels, is_training)
    return self.normalized_losses(outputs, labels, normalizer)

  def normalized_losses(
    self, outputs: Tensors, labels: Tensors, normalizer: tf.Tensor
  ) -> Tensors:
    """Scalar `model_loss` of a batch, or a part of it.

    Args:
      outputs: of `build_outputs`.
      labels: `masks` float32 [batch, height, width, 1], classes.
      normalizer: of `loss_normalizer`.
    """
    with tf.name_scope('losses'):
      masks = tf.cast(labels['masks'], tf.int32)
      logits = _resized(outputs['logits'], masks)
      no_class = tf.fill(tf.shape(masks), -1)
      classes = tf.where(tf.equal(masks, self._ignore_label), no_class, masks)
      loss = self._class_loss(
        tf.reshape(logits, [-1, logits.shape.as_list()[3]]),
        tf.reshape(classes, [-1]),
        normalizer,
      )
    return {'model_loss': loss}

  def predictions(self, outputs: Tensors, labels: Tensors) -> Tensors:
    """`class_map` int32 [batch, height, width], of the labels' size; info."""
    class_map = _classes(outputs, labels)
    return {'class_map': class_map, 'image_info': labels['image_info']}

  def encode(
    self,
    served: Tensors,
    image_info: tf.Tensor,
    image_size: Sequence[int],
    further: Tensors,
  ) -> Tensors:
    """`encoded_outputs` of `served_outputs`; see `Model`."""

    def pngs(image):
      maps = class_maps.of_image(
        *image[:2], padded_size=image_size, threshold=image[2]
      )
      return [tf.image.encode_png(each[..., tf.newaxis]) for each in maps]

    classes, scores = tf.map_fn(
      pngs,
      (served['logits'], image_info, further['score_thresholds']),
      dtype=[tf.string, tf.string],
      # Each takes memory for all classes of all pixels of a picture.
      parallel_iterations=2,
      back_prop=False,
    )
    return {
      'category_bytes': classes,
      'score_bytes': scores,
      'key': further['key'],
    }

  def eval_metrics(
    self, outputs: Tensors, labels: Tensors
  ) -> Tuple[Callable[..., Dict[str, Any]], List[tf.Tensor]]:
    num_classes = outputs['logits'].shape.as_list()[3]

    def metrics(masks, predicted):
      is_counted = tf.not_equal(masks, float(self._ignore_label))
      confusion = tf.math.confusion_matrix(
        tf.boolean_mask(masks, is_counted),
        tf.boolean_mask(predicted, is_counted),
        num_classes,
        dtype=tf.float32,
      )
      # Shares do not mind that it is a mean over batches.
      confusion, update = tf.metrics.mean_tensor(confusion)
      ious, occurs, is_true = class_maps.ious(confusion)
      values = {'miou': tf.reduce_mean(tf.boolean_mask(ious, occurs))}
      ious = tf.where(is_true, ious, tf.fill([num_classes], -1.0))
      for i in range(num_classes):
        values[f'eval/iou_class_{i}'] = ious[i]
      return {name: (value, update) for name, value in values.items()}

    predicted = _classes(outputs, labels)
    return metrics, [labels['masks'], predicted[..., tf.newaxis]]

  def _check_image_size(self, images: tf.Tensor) -> None:
    """The config is checked for what its own neck needs."""


def _classes(outputs: Tensors, labels: Tensors) -> tf.Tensor:
  logits = _resized(outputs['logits'], labels['masks'])
  return tf.argmax(logits, axis=3, output_type=tf.int32)


def _resized(logits: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
  return tf.image.resize_bilinear(logits, like.shape.as_list()[1:3])


@model_registry.register_model('segmentation')
def from_params(params: Any) -> SegmentationModel:
  """Builds the model from the whole config."""
  architecture, settings = params.architecture, params.segmentation_loss
  layers = layer_kit.from_params(params)
  backbone = backbone_and_neck.backbone_generator(params, layers)
  return SegmentationModel(
    backbone=backbone,
    neck=backbone_and_neck.neck_generator(params, layers),
    head=segmentation_head.from_params(params, layers),
    class_loss=losses.ClassificationLoss(
      settings.label_smoothing, settings.class_weights
    ),
    level=params.segmentation_head.level,
    ignore_label=settings.ignore_label,
    use_aspp=architecture.use_aspp,
    use_pyramid_fusion=architecture.use_pyramid_fusion,
    use_groundtruth_dimension=settings.use_groundtruth_dimension,
    stride=2**architecture.max_level,
    **base_model.shared_arguments(params, backbone.scope),
  )
