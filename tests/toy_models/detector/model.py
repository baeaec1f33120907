"""A detector with one level and one anchor."""

import tensorflow.compat.v1 as tf

from modeling import base_model, model_registry, served_output
from modeling.architecture import convolutions, layer_kit
from ops import anchors, postprocess_ops
from utils import mode_keys

_Served = served_output.ServedOutput


class Dots(base_model.Model):
  watched_losses = ('class_error', 'box_error')
  predicted = (
    'image_info',
    'num_detections',
    'detection_boxes',
    'detection_classes',
    'detection_scores',
  )
  served_outputs = {
    'num_detections': _Served('NumDetections', served_output.COUNT),
    'detection_boxes': _Served('DetectionBoxes', served_output.BOXES),
    'detection_classes': _Served('DetectionClasses', served_output.CLASSES),
    'detection_scores': _Served('DetectionScores', served_output.SCORES),
    'raw_boxes': _Served('RawBoxes', served_output.RAW_BOXES),
    'raw_scores': _Served('RawScores', served_output.RAW_SCORES),
  }

  def __init__(
    self, layers, level, num_classes, make_anchors, detect, **kwargs
  ):
    super().__init__(**kwargs)
    self._layers = layers
    self._level = level
    self._num_classes = num_classes
    self._make_anchors = make_anchors
    self._detect = detect

  def _build_outputs(self, images, labels, mode):
    is_training = mode == mode_keys.TRAIN
    features = images
    with tf.variable_scope('dots'):
      for _ in range(self._level):
        features = convolutions.conv2d_fixed_padding(features, 8, 3, 2)
        features = self._layers.norm(features, is_training)
      class_outputs = tf.layers.conv2d(features, self._num_classes, 1)
      box_outputs = tf.layers.conv2d(features, 4, 1)
    outputs = {'classes': class_outputs, 'boxes': box_outputs}
    if not is_training:
      size = tuple(images.shape.as_list()[1:3])
      boxes = self._make_anchors(size).boxes_by_level[self._level]
      outputs.update(
        self._detect(
          {self._level: box_outputs},
          {self._level: class_outputs},
          {self._level: tf.constant(boxes[None])},
          labels['image_info'][:, 1:2, :],
        )
      )
    return outputs

  def build_losses(self, outputs, labels, is_training=True):
    classes = labels['classes']
    found = tf.cast(classes > 0, tf.float32)[..., tf.newaxis]
    class_error = tf.reduce_mean(
      tf.nn.sigmoid_cross_entropy_with_logits(
        labels=tf.one_hot(classes, self._num_classes) * found,
        logits=outputs['classes'],
      )
    )
    difference = tf.abs(outputs['boxes'] - labels['boxes'])
    box_error = tf.reduce_mean(difference * found)
    return {
      'class_error': class_error,
      'box_error': box_error,
      'model_loss': class_error + box_error,
    }

  def predictions(self, outputs, labels):
    known = dict(outputs, image_info=labels['image_info'])
    return {key: known[key] for key in self.predicted}


@model_registry.register_model('dots')
def from_params(params):
  architecture = params.architecture
  level = architecture.max_level
  return Dots(
    layers=layer_kit.from_params(params),
    level=level,
    num_classes=architecture.num_classes,
    make_anchors=lambda size: anchors.from_params(params, size),
    detect=postprocess_ops.MultilevelDetectionGenerator(
      level, level, params.postprocess
    ),
    stride=2**level,
    **base_model.shared_arguments(params, 'dots'),
  )
