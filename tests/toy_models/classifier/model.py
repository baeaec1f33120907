"""A classifier of mean colours."""

import tensorflow.compat.v1 as tf

from modeling import base_model, model_registry, served_output


class Colour(base_model.Model):
  served_outputs = {
    'class_probabilities': served_output.ServedOutput(
      'ClassProbabilities', served_output.PROBABILITIES
    )
  }

  def __init__(self, num_classes, **kwargs):
    super().__init__(**kwargs)
    self._num_classes = num_classes

  def _build_outputs(self, images, labels, mode):
    with tf.variable_scope('colour'):
      logits = tf.layers.dense(
        tf.reduce_mean(images, axis=[1, 2]), self._num_classes
      )
    return {'logits': logits, 'class_probabilities': tf.nn.softmax(logits)}

  def build_losses(self, outputs, labels, is_training=True):
    return {
      'model_loss': tf.losses.sparse_softmax_cross_entropy(
        labels['class'],
        outputs['logits'],
        tf.cast(tf.logical_not(labels['is_padding']), tf.float32),
      )
    }

  def predictions(self, outputs, labels):
    return {'class_probabilities': outputs['class_probabilities']}

  def eval_metrics(self, outputs, labels):
    def metrics(classes, logits, is_padding):
      return {
        'top_1_accuracy': tf.metrics.accuracy(
          classes, tf.argmax(logits, axis=1), tf.logical_not(is_padding)
        )
      }

    return metrics, [labels['class'], outputs['logits'], labels['is_padding']]


@model_registry.register_model('colour')
def from_params(params):
  return Colour(
    params.architecture.num_classes,
    **base_model.shared_arguments(params, 'colour'),
  )
