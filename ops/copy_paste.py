"""Objects of one image over another: what they cover, and what stays."""

import multiprocessing
from typing import Sequence, Tuple

import tensorflow.compat.v1 as tf

from ops import instance_masks, preprocess_ops


class _Windows:
  """Parts of masks that boxes show, with what bilinear crops reach into.

  All that is not wanted of a mask once it is decoded costs nothing then.

  Args:
    boxes: float32 [n, 4], pixels.
    height_width: int32 [2], of the masks.
  """

  def __init__(self, boxes: tf.Tensor, height_width: tf.Tensor):
    last = tf.cast(height_width - 1, tf.float32)
    # From pixels to the samples of `tf.image.crop_and_resize`.
    self._scale = tf.tile(last / (last + 1.0), [2])
    starts = tf.clip_by_value(boxes[:, :2] * self._scale[:2], 0.0, last - 1.0)
    self.starts = starts = tf.cast(starts, tf.int32)
    stops = tf.cast(tf.ceil(boxes[:, 2:]), tf.int32) + 1
    # Two pixels at least, but of an image that has only one.
    self.sides = tf.minimum(tf.maximum(stops, starts + 2), height_width)
    self.sides -= starts
    self.offsets = tf.cast(tf.tile(starts, [1, 2]), tf.float32)
    lengths = tf.maximum(self.sides - 1, 1)
    self._lengths = tf.tile(tf.cast(lengths, tf.float32), [1, 2])

  def cut(self, mask: tf.Tensor, i: tf.Tensor) -> tf.Tensor:
    """What the i-th box shows of a mask, [height, width]."""
    return tf.slice(mask, self.starts[i], self.sides[i])

  def crop(
    self, part: tf.Tensor, box: tf.Tensor, i: tf.Tensor, size: int
  ) -> tf.Tensor:
    """What a box, [4], shows of a part of `cut`, float32 [size, size]."""
    crop = tf.image.crop_and_resize(
      tf.cast(part > 0, tf.uint8)[tf.newaxis, :, :, tf.newaxis],
      [(box * self._scale - self.offsets[i]) / self._lengths[i]],
      [0],
      [size, size],
    )
    return crop[0, :, :, 0]


def taken(
  pngs: tf.Tensor, boxes: tf.Tensor, image_size: tf.Tensor, size: int
) -> Tuple[tf.Tensor, tf.Tensor]:
  """Objects to paste: where they are in their image, and what is learned.

  Args:
    pngs: string [n] of one image, see `instance_masks.decode`.
    boxes: float32 [n, 4], pixels.
    image_size: float32 [2], (height, width).
    size: side of the masks to return.

  Returns:
    uint8 [height, width], 0 where there is none of them; float32
    [n, size, size], what boxes show of the masks, in [0, 1].
  """
  height_width = tf.cast(image_size, tf.int32)
  windows = _Windows(boxes, height_width)

  def body(i, union, crops):
    mask = instance_masks.decode(pngs[i], image_size)
    crop = windows.crop(windows.cut(mask, i), boxes[i], i, size)
    return i + 1, tf.bitwise.bitwise_or(union, mask), crops.write(i, crop)

  count = tf.size(pngs)
  crops = tf.TensorArray(tf.float32, count, element_shape=[size, size])
  _, union, crops = tf.while_loop(
    lambda i, *_: i < count,
    body,
    (0, tf.zeros(height_width, tf.uint8), crops),
    parallel_iterations=multiprocessing.cpu_count(),
  )
  return union, crops.stack()


def fit_mask(
  mask: tf.Tensor, image_info: tf.Tensor, size: Sequence[int]
) -> tf.Tensor:
  """Carries out a resize plan for a mask, by nearest neighbours.

  Args:
    mask: uint8 [height, width] of the original image, 0 outside of objects.
    image_info: float32 [4, 2] of the plan.
    size: (height, width) of the padded image.

  Returns:
    bool `size`, false where the image is padded.
  """
  original, desired, scale, offset = tf.unstack(image_info)
  # Truncated, as the original does: a last row may be missing.
  scaled = tf.maximum(tf.cast(scale * original, tf.int32), 1)
  mask = tf.image.resize_nearest_neighbor(mask[tf.newaxis, ..., None], scaled)
  y, x = tf.unstack(tf.cast(offset, tf.int32))
  height, width = tf.unstack(tf.cast(desired, tf.int32))
  mask = mask[0, y : y + height, x : x + width]
  return preprocess_ops.pad_image(mask, size)[:, :, 0] > 0


def unfit_mask(mask: tf.Tensor, image_info: tf.Tensor) -> tf.Tensor:
  """Takes a mask back into the original image.

  Args:
    mask: bool [h, w] of the padded image.
    image_info: float32 [4, 2] of the plan that led there.

  Returns:
    bool [height, width], true where all pixels that are interpolated are of the
    mask, so that the border of objects does not count.
  """
  original, _, scale, offset = tf.unstack(image_info)
  scaled = tf.cast(tf.round(scale * original), tf.int32)
  offset = tf.cast(offset, tf.int32)
  beyond = tf.maximum(scaled - offset - tf.shape(mask), 0)
  mask = tf.pad(tf.cast(mask, tf.float32), tf.stack([offset, beyond], axis=1))
  mask = mask[tf.newaxis, : scaled[0], : scaled[1], tf.newaxis]
  mask = tf.image.resize_bilinear(mask, tf.cast(original, tf.int32))
  return mask[0, :, :, 0] >= 1.0


def uncovered(
  pngs: tf.Tensor,
  boxes: tf.Tensor,
  covered: tf.Tensor,
  view: tf.Tensor,
  size: int,
  box_threshold: float,
  mask_threshold: float,
) -> Tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """What stays of the objects of an image when a part of it is covered.

  An object is what its box shows of its mask. Masks are held one at a time and
  thread, as by `instance_masks.crop`.

  Args:
    pngs: string [n], see `instance_masks.decode`.
    boxes: float32 [n, 4], pixels.
    covered: bool [height, width].
    view: float32 [1, 4], the box of what training sees of the image.
    size: side of the masks to return.
    box_threshold: a side that moves by more pixels is taken from the mask.
    mask_threshold: an object of which a side moved goes if no more pixels of it
      are left.

  Returns:
    bool [n], whether an object stays; float32 [n, 4], its box within the
    view; float32 [n, size, size], what that shows of its mask, in [0, 1].
  """
  height_width = tf.shape(covered)
  windows = _Windows(boxes, height_width)
  limits = tf.unstack(tf.tile(tf.reshape(view, [2, 2]), [1, 2]))
  boxes = tf.clip_by_value(boxes, *limits)
  bare = tf.bitwise.invert(255 * tf.cast(covered, tf.uint8))

  def look(i):
    mask = instance_masks.decode(pngs[i], tf.cast(height_width, tf.float32))
    part = tf.bitwise.bitwise_and(windows.cut(mask, i), windows.cut(bare, i))
    pixels = tf.where(part)
    extent = [tf.reduce_min(pixels, 0), tf.reduce_max(pixels, 0) + 1]
    extent = tf.cast(tf.concat(extent, 0), tf.float32) + windows.offsets[i]
    extent = tf.clip_by_value(extent, *limits)
    is_moved = tf.abs(extent - boxes[i]) > box_threshold
    box = tf.where(is_moved, extent, boxes[i])
    crop = windows.crop(part, box, i, size)
    return tf.shape(pixels)[0], tf.reduce_any(is_moved), box, crop

  areas, is_moved, boxes, crops = tf.map_fn(
    look,
    tf.range(tf.size(pngs)),
    dtype=(tf.int32, tf.bool, tf.float32, tf.float32),
    parallel_iterations=multiprocessing.cpu_count(),
  )
  least = mask_threshold * tf.cast(is_moved, tf.float32)
  return tf.cast(areas, tf.float32) > least, boxes, crops
