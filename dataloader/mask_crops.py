"""Instance masks of a batch, cropped in the frame of the model's image."""

from typing import Any, Dict, List, Sequence

import tensorflow.compat.v1 as tf

from dataloader import object_list
from ops import box_ops, instance_masks

# Name of the masks beside objects: encoded, they are small, and only those in
# use are decoded.
NAME = 'groundtruth_instance_masks_png'
BESIDE = {NAME: (tf.string, ())}


def crop(
  boxes_scaled: tf.Tensor,
  objects: object_list.ObjectList,
  batch: Dict[str, Any],
  sizes: Sequence[int],
) -> List[tf.Tensor]:
  """What boxes show of the masks as stored.

  Args:
    boxes_scaled: float32 [n, 4], pixels of the model's image.
    objects: n of a batch.
    batch: `image_info` [batch, 4, 2] and `is_flipped` [batch].
    sizes: sides of the crops.

  Returns:
    For each size float32 [n, size, size] in [0, 1].
  """
  original_sizes, _, scales, offsets = tf.unstack(
    tf.gather(batch['image_info'], objects.image_indices), num=4, axis=1
  )
  boxes = boxes_scaled + tf.tile(offsets, [1, 2])
  boxes /= tf.tile(scales * original_sizes, [1, 2])
  is_flipped = tf.gather(batch['is_flipped'], objects.image_indices)
  crops = instance_masks.crop(
    objects.beside[NAME],
    tf.where(is_flipped, box_ops.flip_boxes_horizontally(boxes), boxes),
    original_sizes,
    sizes,
  )
  return [tf.where(is_flipped, tf.reverse(c, [2]), c) for c in crops]
