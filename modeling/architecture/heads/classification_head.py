"""Head of classifiers: pooled features of a backbone to class logits."""

from typing import Any, Dict

import tensorflow.compat.v1 as tf

from modeling.architecture import convolutions, layer_kit, regularization
from utils import errors, registry

Features = Dict[int, tf.Tensor]

# Functions of {level: map} to one map.
AGGREGATIONS = registry.Registry('classification_head.aggregation')


@AGGREGATIONS.register('top')
def _top(features: Features) -> tf.Tensor:
  return features[max(features)]


@AGGREGATIONS.register('all')
def _all(features: Features) -> tf.Tensor:
  """Mean of all levels, each resized to the finest one."""
  channels = [features[level].shape.as_list()[3] for level in sorted(features)]
  if len(set(channels)) > 1:
    raise errors.ConfigError(
      "classification_head.aggregation: 'all' adds up the levels of the "
      'backbone, whose numbers of channels differ: {} of levels {} to {}. Use '
      "'top', or spinenet as architecture.backbone.".format(
        ', '.join(map(str, channels)), min(features), max(features)
      )
    )
  total, *finer_maps = (features[level] for level in sorted(features)[::-1])
  for finer in finer_maps:
    size = tuple(finer.shape.as_list()[1:3])
    total = convolutions.native_resize(total, size) + finer
  return total / len(features)


class ClassificationHead:
  """Mean of the top level, or of all of them, and a dense layer.

  Args:
    num_classes: number of logits.
    layers: batch norm and activation.
    endpoints_num_filters: above 0, a 1x1 convolution to so many channels comes
      first.
    aggregation: a name in `AGGREGATIONS`.
    dropout_rate: share of the pooled features that training drops.
  """

  def __init__(
    self,
    num_classes: int,
    layers: layer_kit.LayerKit,
    endpoints_num_filters: int = 0,
    aggregation: str = 'top',
    dropout_rate: float = 0.0,
  ):
    self._num_classes = num_classes
    self._layers = layers
    self._endpoints_num_filters = endpoints_num_filters
    self._aggregate = AGGREGATIONS.get(aggregation)
    self._dropout_rate = dropout_rate

  def __call__(self, features: Features, is_training: bool) -> tf.Tensor:
    """Returns logits [batch, num_classes].

    Args:
      features: {level: [batch, height, width, channels]}, sizes static for
        'all'.
      is_training: mode of batch norm and dropout.

    Raises:
      ConfigError: 'all' of levels that differ in their channels.
    """
    with tf.variable_scope('classification_head'):
      outputs = self._aggregate(features)
      if self._endpoints_num_filters:
        outputs = convolutions.conv2d_fixed_padding(
          outputs, self._endpoints_num_filters, 1
        )
        outputs = self._layers.norm(outputs, is_training)
      outputs = tf.reduce_mean(outputs, axis=[1, 2], name='final_avg_pool')
      outputs = regularization.dropout(outputs, is_training, self._dropout_rate)
      outputs = tf.layers.dense(
        outputs,
        self._num_classes,
        kernel_initializer=tf.random_normal_initializer(stddev=0.01),
      )
      return tf.identity(outputs, 'logits')


def from_params(params: Any, layers: layer_kit.LayerKit) -> ClassificationHead:
  settings = params.classification_head
  return ClassificationHead(
    num_classes=params.architecture.num_classes,
    layers=layers,
    endpoints_num_filters=settings.endpoints_num_filters,
    aggregation=settings.aggregation,
    dropout_rate=settings.dropout_rate,
  )
