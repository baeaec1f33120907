"""Operations on the pixels inside of boxes; the boxes stay."""

from typing import Callable, Union

import tensorflow.compat.v1 as tf

from dataloader.autoaugment import box_transforms, randomness, regions

# The published policies mean the probability for an image, which has several
# boxes.
_SHARE_OF_PROBABILITY = 1.0 / 3.0


def apply_in_boxes(
  image: tf.Tensor,
  bboxes: tf.Tensor,
  prob: Union[float, tf.Tensor],
  operation: Callable[[tf.Tensor], tf.Tensor],
) -> tf.Tensor:
  """Applies an operation to the content of some boxes, in random order.

  Where boxes overlap, later ones see what earlier ones have changed.

  Args:
    image: uint8 [height, width, 3].
    bboxes: float32 [n, 4], normalised.
    prob: each box is chosen with a third of it.
    operation: from uint8 [h, w, 3] to the same shape.

  Returns:
    The image.
  """
  shape = tf.shape(image)
  corners = box_transforms.to_pixels(bboxes, shape)
  # The row and column at ymax and xmax belong to the box.
  limits = tf.concat([shape[:2], shape[:2]], 0)
  corners = tf.clip_by_value(corners + [0, 0, 1, 1], 0, limits)
  num_boxes = tf.shape(bboxes)[0]
  is_chosen = randomness.happens(prob * _SHARE_OF_PROBABILITY, [num_boxes])
  # Nothing is inside of a box that begins where the image ends.
  is_chosen &= tf.reduce_all(corners[:, 2:] > corners[:, :2], axis=1)
  chosen = tf.boolean_mask(corners, is_chosen)
  num_chosen = tf.shape(chosen)[0]
  order = tf.nn.top_k(randomness.uniform([num_chosen]), num_chosen).indices

  def apply_in_box(i: tf.Tensor, image: tf.Tensor):
    ymin, xmin, ymax, xmax = tf.unstack(chosen[order[i]], num=4)
    with randomness.repetition(i):
      changed = operation(image[ymin:ymax, xmin:xmax])
    image = regions.paste(image, changed, ymin, xmin)
    return i + 1, image

  _, changed = tf.while_loop(
    lambda i, image: i < num_chosen,
    apply_in_box,
    (0, image),
    shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None, 3])),
    back_prop=False,
  )
  changed.set_shape(image.shape)
  return changed
