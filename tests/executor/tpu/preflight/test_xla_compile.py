"""What XLA makes of the project's parts equals what TensorFlow computes.

Networks are tiny: XLA takes about a second a layer on a CPU.
"""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory
from modeling import losses
from modeling.architecture import convolutions, layer_kit, residual_blocks
from modeling.architecture.heads import retinanet_head
from modeling.architecture.necks import fpn
from modeling.models import retinanet as retinanet_model
from ops import postprocess_ops
from utils import mode_keys

_BATCH, _SIZE, _CLASSES, _ANCHORS = 2, 32, 3, 1
_LEVELS = {2: 8, 3: 4}
_REGULARIZED = '.*kernel:0$'


class _Backbone:
  """Stem of stride 4 and two residual blocks."""

  def __init__(self, layers):
    self._layers = layers

  def __call__(self, images, is_training):
    with tf.variable_scope('tiny'):
      x = convolutions.conv2d_fixed_padding(images, 4, 3, 2)
      x = self._layers.norm(x, is_training)
      x = tf.nn.max_pool2d(x, ksize=3, strides=2, padding='SAME')
      features = {}
      for level, strides in ((2, 1), (3, 2)):
        x = residual_blocks.residual_block(
          x,
          filters=4 * level,
          strides=strides,
          use_projection=True,
          layers=self._layers,
          is_training=is_training,
        )
        features[level] = x
    return features


def _model():
  layers = layer_kit.from_params(factory.config_generator('retinanet'))
  return retinanet_model.RetinanetModel(
    backbone=_Backbone(layers),
    neck=fpn.Fpn(2, 3, layers, filters=8),
    head=retinanet_head.RetinanetHead(
      2, 3, _CLASSES, _ANCHORS, layers, num_convs=1, num_filters=8
    ),
    detection_generator=None,
    class_loss=losses.RetinanetClassLoss(0.25, 1.5, _CLASSES),
    box_loss=losses.RetinanetBoxLoss(0.1),
    anchors=None,
    backbone_scope='tiny',
    regularization_variable_regex=_REGULARIZED,
    l2_weight_decay=1e-4,
  )


def _labels(rng):
  classes, boxes = {}, {}
  for level, side in _LEVELS.items():
    shape = (_BATCH, side, side, _ANCHORS)
    classes[level] = rng.randint(-2, _CLASSES, shape).astype(np.int32)
    boxes[level] = rng.randn(_BATCH, side, side, 4 * _ANCHORS).astype('f')
  return {
    'cls_targets': classes,
    'box_targets': boxes,
    'num_positives': np.float32([3, 5]),
  }


def _training_step(images, labels):
  """Every output, every loss and every gradient, flat."""
  model = _model()
  outputs = model.build_outputs(images, labels, mode_keys.TRAIN)
  values = model.build_losses(outputs, labels)
  variables = model.trainable_variables()
  values['l2_regularization_loss'] = model.l2_loss(variables)
  total = values['model_loss'] + values['l2_regularization_loss']
  return tf.nest.flatten([outputs, values, tf.gradients(total, variables)])


def _run(build):
  """Results of new variables, whose values are the same every time."""
  with tf.Graph().as_default(), tf.Session() as session:
    tf.get_variable_scope().set_use_resource(True)
    fetches = build()
    session.run(tf.global_variables_initializer())
    rng = np.random.RandomState(1)
    for variable in tf.global_variables():
      # The head's own initial weights are too small for a gradient to show.
      if 'kernel' in variable.name:
        variable.load(0.5 * rng.randn(*variable.shape.as_list()), session)
    return session.run(fetches)


@pytest.mark.slow
def test_forward_pass_loss_and_gradients_of_a_network():
  rng = np.random.RandomState(0)
  images = rng.randn(_BATCH, _SIZE, _SIZE, 3).astype('f')
  labels = _labels(rng)

  def build():
    return _training_step(
      tf.constant(images), tf.nest.map_structure(tf.constant, labels)
    )

  plain = _run(build)
  compiled = _run(lambda: tf.xla.experimental.compile(build))

  # Class and box outputs of two levels, four losses, and the gradients.
  assert len(compiled) == len(plain) > 4 + 4 + 30
  scales = [np.abs(want).max() for want in plain]
  for value, want, scale in zip(compiled, plain, scales):
    # Biases in front of a batch norm have a gradient of 0, up to rounding.
    np.testing.assert_allclose(value, want, rtol=0, atol=1e-4 * scale + 1e-5)
  assert np.mean(np.greater(scales, 1e-2)) > 0.6


@pytest.mark.parametrize('size', [(5, 5), (6, 4), (3, 7), (2, 3)])
def test_resizing_by_any_factor(size):
  rng = np.random.RandomState(0)
  images = tf.constant(rng.randn(2, 3, 4, 2), tf.float32)
  weights = tf.constant(rng.randn(2, *size, 2), tf.float32)

  def build(resize):
    resized = resize(images, size)
    (gradient,) = tf.gradients(tf.reduce_sum(resized * weights), [images])
    return [resized, gradient]

  want = build(convolutions.native_resize)
  got = tf.xla.experimental.compile(lambda: build(convolutions.gathered_resize))
  with tf.Session() as session:
    (want, got) = session.run((want, got))
  np.testing.assert_array_equal(got[0], want[0])
  np.testing.assert_allclose(got[1], want[1], rtol=1e-6, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize('class_agnostic', [False, True])
@pytest.mark.parametrize('version', postprocess_ops.NMS_VERSIONS.names())
def test_detections(version, class_agnostic):
  params = factory.config_generator('retinanet')
  params.override(
    {
      'postprocess': {
        'nms_version': version,
        'max_total_size': 5,
        'pre_nms_num_boxes': 20,
        'class_agnostic_nms': class_agnostic,
      }
    }
  )
  rng = np.random.RandomState(0)
  box_outputs, class_outputs, anchors = {}, {}, {}
  for level, side in _LEVELS.items():
    shape = (_BATCH, side, side)
    box_outputs[level] = 0.2 * rng.randn(*shape, 4).astype('f')
    class_outputs[level] = 3 * rng.randn(*shape, _CLASSES).astype('f')
    corners = rng.uniform(0, 25, (side**2, 2))
    anchors[level] = np.concatenate(
      [corners, corners + rng.uniform(2, 20, (side**2, 2))], axis=1
    )[None].astype('f')

  def build():
    generate = postprocess_ops.MultilevelDetectionGenerator(
      2, 3, params.postprocess
    )
    detections = generate(
      *tf.nest.map_structure(
        tf.constant, (box_outputs, class_outputs, anchors)
      ),
      tf.constant([[[32.0, 32.0]]] * _BATCH),
    )
    return [detections[key] for key in sorted(detections)]

  plain = _run(build)
  compiled = _run(lambda: tf.xla.experimental.compile(build))
  for value, want in zip(compiled, plain):
    np.testing.assert_allclose(value, want, rtol=1e-4, atol=1e-4)
  assert (plain[-1] == 5).all()
