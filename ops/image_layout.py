"""Layouts of training images between input pipeline and model."""

import tensorflow.compat.v1 as tf


def to_input_layout(
  images: tf.Tensor, transpose_input: bool, space_to_depth_block_size: int
) -> tf.Tensor:
  """Layout in which training images are delivered.

  Args:
    images: [N, H, W, C], static.
    transpose_input: puts the batch behind the spatial dimensions.
    space_to_depth_block_size: b > 1 folds blocks of pixels into channels.

  Returns:
    With blocks of b pixels [H/b, W/b, N, C*b^2], or [N, H/b, W/b, C*b^2]
    without transposition; else [H, W, C, N], or `images` unchanged.
  """
  block = space_to_depth_block_size
  batch, height, width, channels = images.shape.as_list()
  if block > 1:
    images = tf.reshape(
      images,
      [batch, height // block, block, width // block, block, channels],
    )
    order = [1, 3, 0, 2, 4, 5] if transpose_input else [0, 1, 3, 2, 4, 5]
    images = tf.transpose(images, order)
    return tf.reshape(
      images, images.shape.as_list()[:3] + [channels * block**2]
    )
  if not transpose_input:
    return images
  # Transposing a matrix is several times faster than four dimensions.
  images = tf.transpose(tf.reshape(images, [batch, -1]))
  return tf.reshape(images, [height, width, channels, batch])


def undo_input_layout(
  images: tf.Tensor, transpose_input: bool, space_to_depth_block_size: int
) -> tf.Tensor:
  """Brings the batch of training images to the front again.

  Args:
    images: of `to_input_layout`.
    transpose_input: as there.
    space_to_depth_block_size: as there.

  Returns:
    [N, H, W, C]; blocks stay folded.
  """
  if not transpose_input:
    return images
  if space_to_depth_block_size > 1:
    return tf.transpose(images, [2, 0, 1, 3])
  return tf.transpose(images, [3, 0, 1, 2])
