"""Instance masks in records: one PNG an object, decoded one at a time."""

import multiprocessing
from typing import List, Sequence

import tensorflow.compat.v1 as tf


def decode(png: tf.Tensor, image_size: tf.Tensor) -> tf.Tensor:
  """Decodes a mask.

  Args:
    png: scalar string, a PNG; writers mark the object by 1 or by 255.
    image_size: float32 [2], (height, width) that the mask must have.

  Returns:
    uint8 [height, width], 0 outside of the object. At run time,
    InvalidArgumentError for anything else, and for another size.
  """
  mask = tf.io.decode_png(png, channels=1)[:, :, 0]
  mask_size = tf.shape(mask)
  check = tf.debugging.Assert(
    tf.reduce_all(tf.equal(mask_size, tf.cast(image_size, tf.int32))),
    ['A mask of', mask_size, 'is in an image of', image_size],
  )
  with tf.control_dependencies([check]):
    return tf.identity(mask)


def crop(
  pngs: tf.Tensor,
  boxes_normalized: tf.Tensor,
  image_sizes: tf.Tensor,
  sizes: Sequence[int],
) -> List[tf.Tensor]:
  """What masks are within boxes, bilinear between pixels.

  Whole masks are held only one at a time and thread: a hundred of an image of
  1024 pixels would be 400 MB as float32.

  Args:
    pngs: string [n], see `decode`.
    boxes_normalized: float32 [n, 4], `[ymin, xmin, ymax, xmax]`.
    image_sizes: float32 [n, 2], (height, width) that the masks must have.
    sizes: sides of the crops; a mask is decoded once for all of them.

  Returns:
    For each size float32 [n, size, size] in [0, 1]; 0 beyond the mask. At run
    time, InvalidArgumentError if a mask is not as large as its image.
  """

  def crop_one(inputs):
    png, box, image_size = inputs
    mask = tf.cast(decode(png, image_size) > 0, tf.uint8)
    mask = mask[tf.newaxis, ..., tf.newaxis]
    return [
      tf.reshape(
        tf.image.crop_and_resize(mask, box[tf.newaxis], [0], [size, size]),
        [size, size],
      )
      for size in sizes
    ]

  return tf.map_fn(
    crop_one,
    (pngs, boxes_normalized, image_sizes),
    dtype=[tf.float32] * len(sizes),
    parallel_iterations=multiprocessing.cpu_count(),
  )
