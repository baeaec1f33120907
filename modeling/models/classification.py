"""Image classification."""

from typing import Any, Callable, Dict, List, Tuple

import tensorflow.compat.v1 as tf

from modeling import base_model, losses, model_registry, served_output
from modeling.architecture import backbone_and_neck, layer_kit
from modeling.architecture.heads import classification_head
from ops import preprocess_ops
from utils import mode_keys

Tensors = Dict[str, Any]
_Served = served_output.ServedOutput


class ClassificationModel(base_model.Model):
  """Backbone and head; softmax cross entropy; top-1 and top-5 accuracy.

  Args:
    backbone: `(images, is_training)` to {level: features}.
    head: `(features, is_training)` to logits.
    class_loss: `(logits, classes, normalizer)` to a scalar.
    **kwargs: of `Model`.
  """

  losses_add_up = True
  predicted = ('class_probabilities',)
  served_outputs = {
    'class_probabilities': _Served(
      'ClassProbabilities', served_output.PROBABILITIES
    ),
    'classes': _Served('Classes', served_output.CLASSES),
  }
  image_fit = preprocess_ops.CENTER

  def __init__(
    self,
    backbone: Callable[..., Any],
    head: Callable[..., Any],
    class_loss: Callable[..., Any],
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._backbone = backbone
    self._head = head
    self._class_loss = class_loss

  def _build_outputs(
    self, images: tf.Tensor, labels: Any, mode: str
  ) -> Tensors:
    """Returns `logits` [batch, num_classes].

    In prediction also `class_probabilities`, of the same shape, and `classes`,
    int32 [batch, 5], the most probable ones, best first.
    """
    is_training = mode == mode_keys.TRAIN
    logits = self._head(self._backbone(images, is_training), is_training)
    self._log_stats(images)
    outputs = {'logits': logits}
    if mode in (mode_keys.PREDICT, mode_keys.PREDICT_WITH_GT):
      probabilities = tf.nn.softmax(tf.cast(logits, tf.float32))
      count = min(served_output.NUM_TOP_CLASSES, logits.shape.as_list()[1])
      outputs['class_probabilities'] = probabilities
      outputs['classes'] = tf.nn.top_k(probabilities, count).indices
    return outputs

  def loss_normalizer(
    self, labels: Any, is_training: bool = True
  ) -> Tuple[tf.Tensor, Tensors]:
    """Number of images that count, at least 1, and nothing to log."""
    del is_training
    count = tf.reduce_sum(losses.is_counted(_classes(labels)))
    return tf.maximum(count, 1.0), {}

  def build_losses(
    self, outputs: Tensors, labels: Any, is_training: bool = True
  ) -> Tensors:
    """Scalar `model_loss`, the mean over the images of a batch."""
    normalizer, _ = self.loss_normalizer(labels, is_training)
    return self.normalized_losses(outputs, labels, normalizer)

  def normalized_losses(
    self, outputs: Tensors, labels: Any, normalizer: tf.Tensor
  ) -> Tensors:
    """Scalar `model_loss` of a batch, or a part of it.

    Args:
      outputs: of `build_outputs`.
      labels: classes, int32 [batch], -1 of images that do not count; or what
        the input pipeline delivers with groundtruth.
      normalizer: of `loss_normalizer`.
    """
    with tf.name_scope('losses'):
      loss = self._class_loss(outputs['logits'], _classes(labels), normalizer)
    return {'model_loss': loss}

  def predictions(self, outputs: Tensors, labels: Any) -> Tensors:
    """`class_probabilities` [batch, num_classes]."""
    return {key: outputs[key] for key in self.predicted}

  def eval_metrics(
    self, outputs: Tensors, labels: Any
  ) -> Tuple[Callable[..., Dict[str, Any]], List[tf.Tensor]]:
    def metrics(classes, logits):
      is_counted = losses.is_counted(classes)
      among_top = tf.nn.in_top_k(logits, classes, served_output.NUM_TOP_CLASSES)
      return {
        'top_1_accuracy': tf.metrics.accuracy(
          classes, tf.argmax(logits, axis=1), is_counted
        ),
        'top_5_accuracy': tf.metrics.mean(among_top, is_counted),
      }

    return metrics, [_classes(labels), outputs['logits']]


def _classes(labels: Any) -> tf.Tensor:
  return (
    labels['groundtruths']['classes'] if isinstance(labels, dict) else labels
  )


@model_registry.register_model('classification')
def from_params(params: Any) -> ClassificationModel:
  """Builds the model from the whole config."""
  layers = layer_kit.from_params(params)
  backbone = backbone_and_neck.backbone_generator(params, layers)
  return ClassificationModel(
    backbone=backbone,
    head=classification_head.from_params(params, layers),
    class_loss=losses.ClassificationLoss(params.train.label_smoothing),
    **base_model.shared_arguments(params, backbone.scope),
  )
