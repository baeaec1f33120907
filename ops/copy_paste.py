"""Objects of one image over another: what they cover, and what stays."""

import multiprocessing
from typing import NamedTuple, Tuple

import tensorflow.compat.v1 as tf

from ops import instance_masks


class _Windows(NamedTuple):
  """Parts of masks that boxes show, with what bilinear crops reach into.

  All that is not wanted of a mask once it is decoded costs nothing then. What
  is known of a window is in one row, since loops pay for each operation.

  Attributes:
    corners: int32 [n, 4], first row and column, height and width.
    frames: float32 [n, 12], four each: the corner, twice, and the factor and
      the shift from pixels to the frame of `tf.image.crop_and_resize`.
  """

  corners: tf.Tensor
  frames: tf.Tensor

  def cut(self, mask: tf.Tensor, i: tf.Tensor) -> tf.Tensor:
    """The i-th part of a mask, [height, width]."""
    return tf.slice(mask, *tf.split(tf.gather(self.corners, i), 2))

  def corner(self, i: tf.Tensor) -> tf.Tensor:
    """The i-th first row and column, twice, float32 [4]."""
    return tf.gather(self.frames, i)[:4]

  def crop(
    self, part: tf.Tensor, box: tf.Tensor, i: tf.Tensor, size: int
  ) -> tf.Tensor:
    """What a box, [4], shows of a part of `cut`, float32 [1, size, size, 1]."""
    _, factor, shift = tf.split(tf.gather(self.frames, i), 3)
    return tf.image.crop_and_resize(
      tf.cast(part > 0, tf.uint8)[tf.newaxis, :, :, tf.newaxis],
      [box * factor - shift],
      [0],
      [size, size],
    )


def _windows(boxes: tf.Tensor, height_width: tf.Tensor) -> _Windows:
  """Windows of boxes, [n, 4] in pixels, in masks of a size, int32 [2]."""
  last = tf.cast(height_width - 1, tf.float32)
  # Of the last pixels, as crops sample them.
  scale = tf.tile(last / (last + 1.0), [2])
  starts = tf.clip_by_value(boxes[:, :2] * scale[:2], 0.0, last - 1.0)
  starts = tf.cast(starts, tf.int32)
  stops = tf.cast(tf.ceil(boxes[:, 2:]), tf.int32) + 1
  # Two pixels at least, but of an image that has only one.
  sides = tf.minimum(tf.maximum(stops, starts + 2), height_width) - starts
  offsets = tf.cast(tf.tile(starts, [1, 2]), tf.float32)
  lengths = tf.tile(tf.cast(tf.maximum(sides - 1, 1), tf.float32), [1, 2])
  return _Windows(
    tf.concat([starts, sides], axis=1),
    tf.concat([offsets, scale / lengths, offsets / lengths], axis=1),
  )


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
  windows = _windows(boxes, height_width)
  area = tf.reduce_prod(height_width)

  def words(mask):
    # Eight pixels at once.
    padded = tf.pad(tf.reshape(mask, [-1]), [[0, -area % 8]])
    return tf.bitcast(tf.reshape(padded, [-1, 8]), tf.int64)

  def body(i, union, crops):
    mask = instance_masks.decode(tf.gather(pngs, i), image_size)
    crop = windows.crop(windows.cut(mask, i), tf.gather(boxes, i), i, size)
    union = tf.bitwise.bitwise_or(union, words(mask))
    return i + 1, union, crops.write(i, crop)

  count = tf.size(pngs)
  crops = tf.TensorArray(tf.float32, count, element_shape=[1, size, size, 1])
  _, union, crops = tf.while_loop(
    lambda i, *_: i < count,
    body,
    (0, words(tf.zeros(height_width, tf.uint8)), crops),
    parallel_iterations=multiprocessing.cpu_count(),
  )
  union = tf.reshape(tf.bitcast(union, tf.uint8), [-1])[:area]
  return (
    tf.reshape(union, height_width),
    tf.reshape(crops.stack(), [-1, size, size]),
  )


def fit_mask(mask: tf.Tensor, image_info: tf.Tensor) -> tf.Tensor:
  """Carries out a resize plan for a mask, by nearest neighbours.

  Args:
    mask: uint8 [height, width] of the original image, 0 outside of objects.
    image_info: float32 [4, 2] of the plan.

  Returns:
    bool [h, w], at most what is seen of the image.
  """
  original, desired, scale, offset = tf.unstack(image_info)
  # Truncated, as the original does: a last row may be missing.
  scaled = tf.maximum(tf.cast(scale * original, tf.int32), 1)
  mask = tf.image.resize_nearest_neighbor(mask[tf.newaxis, ..., None], scaled)
  y, x = tf.unstack(tf.cast(offset, tf.int32))
  height, width = tf.unstack(tf.cast(desired, tf.int32))
  return mask[0, y : y + height, x : x + width, 0] > 0


def unfit_mask(mask: tf.Tensor, image_info: tf.Tensor) -> tf.Tensor:
  """Takes a mask back into the original image.

  Args:
    mask: bool [h, w] of the padded image, or less of it; elsewhere false.
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
  image_size = tf.cast(height_width, tf.float32)
  windows = _windows(boxes, height_width)
  limits = tf.unstack(tf.tile(tf.reshape(view, [2, 2]), [1, 2]))
  boxes = tf.clip_by_value(boxes, *limits)
  bare = tf.bitwise.invert(255 * tf.cast(covered, tf.uint8))

  def look(i):
    mask = instance_masks.decode(tf.gather(pngs, i), image_size)
    part = tf.bitwise.bitwise_and(windows.cut(mask, i), windows.cut(bare, i))
    pixels = tf.where(part)
    y, x = pixels[:, 0], pixels[:, 1]
    extent = [tf.reduce_min(y), tf.reduce_min(x)]
    extent += [tf.reduce_max(y) + 1, tf.reduce_max(x) + 1]
    extent = tf.cast(tf.stack(extent), tf.float32) + windows.corner(i)
    extent = tf.clip_by_value(extent, *limits)
    box = tf.gather(boxes, i)
    is_moved = tf.abs(extent - box) > box_threshold
    box = tf.where(is_moved, extent, box)
    crop = windows.crop(part, box, i, size)
    return tf.shape(pixels), is_moved, box, crop

  areas, is_moved, boxes, crops = tf.map_fn(
    look,
    tf.range(tf.size(pngs)),
    dtype=(tf.int32, tf.bool, tf.float32, tf.float32),
    parallel_iterations=multiprocessing.cpu_count(),
  )
  is_moved = tf.cast(tf.reduce_any(is_moved, axis=1), tf.float32)
  is_kept = tf.cast(areas[:, 0], tf.float32) > mask_threshold * is_moved
  return is_kept, boxes, tf.reshape(crops, [-1, size, size])
