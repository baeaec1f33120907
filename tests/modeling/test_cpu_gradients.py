"""The fast gradients equal TensorFlow's own."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling.architecture import cpu_gradients


@pytest.mark.parametrize('kernel_size', [1, 2, 3, 5])
@pytest.mark.parametrize('strides', [1, 2])
@pytest.mark.parametrize('padding', ['SAME', 'VALID'])
def test_equal_to_the_library(kernel_size, strides, padding):
  rng = np.random.RandomState(0)
  images = rng.randn(2, 9, 12, 3).astype(np.float32)
  kernel = rng.randn(kernel_size, kernel_size, 3, 4).astype(np.float32)
  results = []
  for enabled in (False, True):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = [tf.constant(images), tf.constant(kernel)]
      with cpu_gradients.fast_gradients(enabled):
        outputs = tf.nn.conv2d(*inputs, strides=strides, padding=padding)
      weights = tf.cast(tf.range(tf.size(outputs)) % 7, tf.float32)
      loss = tf.reduce_sum(outputs * tf.reshape(weights, tf.shape(outputs)))
      results.append(session.run(tf.gradients(loss, inputs)))
      kinds = {op.type for op in tf.get_default_graph().get_operations()}
  for want, got in zip(*results):
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
  uses_library = strides == 2 or padding == 'VALID' or kernel_size == 2
  assert ('Conv2DBackpropFilter' in kinds) == uses_library


def test_unknown_batch_size():
  with tf.Graph().as_default(), tf.Session() as session:
    images = tf.placeholder(tf.float32, [None, 4, 4, 2])
    kernel = tf.ones([3, 3, 2, 2])
    with cpu_gradients.fast_gradients(True):
      outputs = tf.nn.conv2d(images, kernel, strides=1, padding='SAME')
    gradients = tf.gradients(outputs, [images, kernel])
    got = session.run(gradients, {images: np.ones([3, 4, 4, 2])})
  # The centre of the kernel meets all 3 * 16 pixels, its corner 3 * 9.
  assert got[1][1, 1, 0, 0] == 48.0
  assert got[1][0, 0, 0, 0] == 27.0
  assert got[0][0, 1, 1, 0] == 18.0


@pytest.mark.parametrize('batch', [1, 3])
def test_batch_norm_equals_the_library(batch):
  rng = np.random.RandomState(1)
  images = 5 + 2 * rng.randn(batch, 256, 256, 4).astype(np.float32)
  weights = rng.randn(*images.shape).astype(np.float32)
  results = []
  for enabled in (False, True):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = [
        tf.constant(images),
        tf.constant([1.0, 2.0, 0.5, -1.0]),
        tf.constant([0.1, 0.2, 0.3, 0.4]),
      ]
      with cpu_gradients.fast_gradients(enabled):
        outputs = tf.nn.fused_batch_norm(*inputs, epsilon=1e-3)[0]
      loss = tf.reduce_mean(tf.nn.relu(outputs) * weights) * 1e3
      results.append(session.run(tf.gradients(loss, inputs)))
      kinds = {op.type for op in tf.get_default_graph().get_operations()}
      assert ('FusedBatchNormGradV3' in kinds) != enabled
  for want, got in zip(*results):
    assert np.abs(want).max() > 1e-3
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)


def test_batch_norm_in_inference_mode_keeps_the_library():
  with tf.Graph().as_default(), tf.Session() as session:
    images = tf.ones([1, 2, 2, 1])
    with cpu_gradients.fast_gradients(True):
      outputs = tf.nn.fused_batch_norm(
        images, [3.0], [0.0], [0.0], [1.0], epsilon=0.0, is_training=False
      )[0]
    got = session.run(tf.gradients(outputs, images)[0])
  np.testing.assert_allclose(got, 3.0 * np.ones([1, 2, 2, 1]), rtol=1e-5)


def test_batch_norm_of_small_maps_keeps_the_library():
  with tf.Graph().as_default():
    images = tf.ones([1, 4, 8, 4])
    with cpu_gradients.fast_gradients(True):
      outputs = tf.nn.fused_batch_norm(images, [1.0] * 4, [0.0] * 4)[0]
    tf.gradients(outputs, images)
    kinds = {op.type for op in tf.get_default_graph().get_operations()}
  assert 'FusedBatchNormGradV3' in kinds


def test_constants_that_a_loop_asked_for_first_serve_outside():
  def gradient():
    images, kernel = tf.ones([1, 4, 4, 1]), tf.ones([3, 3, 1, 1])
    with cpu_gradients.fast_gradients(True):
      outputs = tf.nn.conv2d(images, kernel, strides=1, padding='SAME')
    return tf.gradients(outputs, kernel)[0][1, 1, 0, 0]

  with tf.Graph().as_default(), tf.Session() as session:
    sums = tf.while_loop(
      lambda i, total: i < 2,
      lambda i, total: (i + 1, total + gradient()),
      (0, 0.0),
    )
    assert session.run([sums[1], gradient()]) == [32.0, 16.0]
