"""Faster gradients of convolution and batch norm on a CPU.

TensorFlow 1.15's CPU kernels for the gradients of a convolution reach about
half the speed of its forward kernel. Both gradients of a convolution with
stride 1 are convolutions themselves, so the forward kernel can compute them:
the input's is the output gradient convolved with the flipped kernel, the
filter's is the input convolved with the output gradient, channels taking the
place of the batch.

The gradient of batch norm is a few sums over pixels, which a product with a
row of ones computes faster than a reduction, and one linear combination.
"""

import contextlib
from typing import Iterator

import tensorflow.compat.v1 as tf
from tensorflow.python.ops import nn_grad

from modeling.architecture.shared_tensors import constant

_CONVOLUTION = 'CpuConv2D'
_BATCH_NORM = 'CpuFusedBatchNormV3'
# Below, batch norm gains nothing that would be worth the nodes.
_MIN_BATCH_NORM_ELEMENTS = 2**18


@contextlib.contextmanager
def fast_gradients(enabled: bool) -> Iterator[None]:
  """Convolutions and batch norms made inside get this module's gradients.

  Values agree with TensorFlow's own up to rounding.

  Args:
    enabled: if false, nothing changes. Other devices have better kernels.
  """
  if not enabled:
    yield
    return
  overrides = {'Conv2D': _CONVOLUTION, 'FusedBatchNormV3': _BATCH_NORM}
  with tf.get_default_graph().gradient_override_map(overrides):
    yield


@tf.RegisterGradient(_CONVOLUTION)
def _conv2d_gradient(op, gradient):
  """Gradients of the images [B, H, W, I] and the kernel [k, k, I, O]."""
  images, kernel = op.inputs
  height, width, _, _ = kernel.shape.as_list()
  is_plain = (
    op.get_attr('strides') == [1, 1, 1, 1]
    and op.get_attr('dilations') == [1, 1, 1, 1]
    and op.get_attr('padding') == b'SAME'
    and op.get_attr('data_format') == b'NHWC'
    and height % 2 == 1
    and width % 2 == 1
  )
  if not is_plain:
    return nn_grad._Conv2DGrad(op, gradient)
  flipped = kernel
  if (height, width) != (1, 1):
    flipped = tf.reverse(kernel, constant([0, 1]))
  image_gradient = tf.nn.conv2d(
    gradient,
    tf.transpose(flipped, constant([0, 1, 3, 2])),
    strides=1,
    padding='SAME',
  )
  if (height, width) == (1, 1):
    return image_gradient, _pointwise_kernel_gradient(images, gradient)
  return image_gradient, _kernel_gradient(images, gradient, height, width)


def _pointwise_kernel_gradient(images, gradient):
  """[1, 1, I, O]: one product of matrices over all pixels."""
  in_channels = images.shape.as_list()[-1]
  out_channels = gradient.shape.as_list()[-1]
  kernel_shape = [1, 1, in_channels, out_channels]
  product = tf.matmul(
    tf.reshape(images, constant([-1, in_channels])),
    tf.reshape(gradient, constant([-1, out_channels])),
    transpose_a=True,
  )
  return tf.reshape(product, constant(kernel_shape))


def _kernel_gradient(images, gradient, height, width):
  """[height, width, I, O], by a convolution whose kernel is the gradient."""
  rows, columns = height // 2, width // 2
  paddings = [[0, 0], [rows, rows], [columns, columns], [0, 0]]
  images = tf.pad(images, constant(paddings))
  result = tf.nn.conv2d(
    tf.transpose(images, constant([3, 1, 2, 0])),
    tf.transpose(gradient, constant([1, 2, 0, 3])),
    strides=1,
    padding='VALID',
  )
  return tf.transpose(result, constant([1, 2, 0, 3]))


@tf.RegisterGradient(_BATCH_NORM)
def _batch_norm_gradient(op, *gradients):
  """Gradients of the input [B, H, W, C], gamma and beta; float32 moments."""
  images, gamma = op.inputs[:2]
  num_pixels = images.shape[:3].num_elements()
  is_plain = (
    op.get_attr('is_training')
    and op.get_attr('data_format') == b'NHWC'
    and images.dtype == tf.float32
    and num_pixels is not None
    and images.shape.num_elements() >= _MIN_BATCH_NORM_ELEMENTS
  )
  if not is_plain:
    return nn_grad._FusedBatchNormV3Grad(op, *gradients)
  gradient = gradients[0]
  # Rows of [1, C], and few nodes.
  rows = constant([num_pixels, images.shape.as_list()[-1]])
  ones = tf.fill(constant([1, num_pixels]), constant(1.0))
  negative_share = constant(-1.0 / num_pixels)
  # Biased mean and variance of the batch, which the forward kernel keeps.
  mean, variance = op.outputs[3:5]

  sum_gradient = tf.matmul(ones, tf.reshape(gradient, rows))
  sum_product = tf.matmul(ones, tf.reshape(gradient * images, rows))
  inverse_deviation = tf.rsqrt(variance + constant(op.get_attr('epsilon')))
  gamma_gradient = (sum_product - mean * sum_gradient) * inverse_deviation
  # The input's gradient is linear in the output gradient and the input:
  # gamma / std * (dy - mean(dy) - x_hat * mean(dy * x_hat)).
  scale = gamma * inverse_deviation
  slope = scale * inverse_deviation * gamma_gradient * negative_share
  offset = scale * sum_gradient * negative_share - slope * mean
  return (
    scale * gradient + (slope * images + offset),
    tf.squeeze(gamma_gradient, 0),
    tf.squeeze(sum_gradient, 0),
    None,
    None,
  )
