"""Copy-paste (Ghiasi et al., arXiv:2012.07177) of one image into another."""

from typing import Any, Callable, Dict, NamedTuple, Tuple

import tensorflow.compat.v1 as tf

from dataloader import mask_crops, object_list
from dataloader.autoaugment import randomness
from ops import box_ops, copy_paste

# What objects have beside their rows, once one image is pasted into another.
BOXES, MASKS = 'boxes_scaled', 'masks'


class Seen(NamedTuple):
  """One image as training sees it.

  Attributes:
    element: of `MaskrcnnParser.process`.
    boxes_scaled: float32 [n, 4], pixels of the padded image.
    objects: the n that are learned, in a batch of this image alone.
  """

  element: Dict[str, Any]
  boxes_scaled: tf.Tensor
  objects: object_list.ObjectList

  def to_stored(self, boxes_scaled: tf.Tensor) -> tf.Tensor:
    """Boxes, [n, 4], in pixels of the image as stored, not mirrored."""
    size, _, scale, offset = tf.split(self.element['image_info'], 4)
    boxes = boxes_scaled + tf.tile(offset, [1, 2])
    return self.denormalized(boxes / tf.tile(scale * size, [1, 2]), size)

  def to_scaled(self, boxes_stored: tf.Tensor) -> tf.Tensor:
    """The inverse of `to_stored`, clipped to the view."""
    size, desired, scale, offset = tf.split(self.element['image_info'], 4)
    boxes = self.denormalized(boxes_stored / tf.tile(size, [1, 2]), size)
    return box_ops.resize_and_crop_boxes(boxes, scale, desired, offset)

  def mirrored(self, image: tf.Tensor, axis: int) -> tf.Tensor:
    """From the frame of the stored image to that of the view, or back."""
    return tf.cond(
      self.element['is_flipped'],
      lambda: tf.reverse(image, [axis]),
      lambda: tf.identity(image),
    )

  def denormalized(
    self, boxes_normalized: tf.Tensor, size: tf.Tensor
  ) -> tf.Tensor:
    """Mirrored as `mirrored` does, and in pixels of a size, [1, 2]."""
    boxes = tf.cond(
      self.element['is_flipped'],
      lambda: box_ops.flip_boxes_horizontally(boxes_normalized),
      lambda: tf.identity(boxes_normalized),
    )
    return box_ops.denormalize_boxes(boxes, size)


class CopyPaste:
  """Pastes objects, and takes from those below what is covered.

  Args:
    mask_crop_size: side of the masks to learn.
    box_threshold: see `ops.copy_paste.uncovered`.
    mask_threshold: see `ops.copy_paste.uncovered`.

  Attributes:
    beside: of the objects, see `object_list.pack`.
  """

  def __init__(
    self,
    mask_crop_size: int,
    box_threshold: float,
    mask_threshold: float,
  ):
    self._mask_crop_size = mask_crop_size
    self._thresholds = box_threshold, mask_threshold
    self.beside = {
      BOXES: (tf.float32, (4,)),
      MASKS: (tf.float32, (mask_crop_size, mask_crop_size)),
    }

  def __call__(
    self,
    target: Seen,
    donor: Seen,
    finished: Callable[[tf.Tensor], tf.Tensor],
  ) -> Dict[str, Any]:
    """Returns the element of the target, with objects of the donor over it.

    Of the donor's n objects 1 to n are drawn, by the seed of that image. They
    stand behind those of the target.

    Args:
      target: what is pasted into.
      donor: whose image is not padded, and has pixels as `finished` takes.
      finished: makes such pixels, [h, w, 3], those of the target.
    """
    donor = _drawn(donor)
    donor_masks, pasted = self._taken(donor)
    target, masks = self._uncovered(target, pasted)
    below, above = (
      {**object_list.data(seen.objects), BOXES: seen.boxes_scaled, MASKS: crops}
      for seen, crops in ((target, masks), (donor, donor_masks))
    )
    both = {
      name: tf.concat([below[name], above[name]], axis=0) for name in below
    }
    return dict(
      target.element,
      image=_overlaid(target, donor, pasted, finished),
      objects=object_list.pack(both, self.beside),
    )

  def _taken(self, donor: Seen) -> Tuple[tf.Tensor, tf.Tensor]:
    """Masks to learn, and which pixels of the donor, bool, to paste."""
    info = donor.element['image_info']
    union, masks = copy_paste.taken(
      donor.objects.beside[mask_crops.NAME],
      donor.to_stored(donor.boxes_scaled),
      info[0],
      self._mask_crop_size,
    )
    pasted = copy_paste.fit_mask(donor.mirrored(union, axis=1), info)
    return donor.mirrored(masks, axis=2), pasted

  def _uncovered(
    self, target: Seen, pasted: tf.Tensor
  ) -> Tuple[Seen, tf.Tensor]:
    """What stays of the target, and the masks of that to learn."""
    info, objects = target.element['image_info'], target.objects
    whole = tf.concat([tf.zeros([2]), info[1] - 1.0], axis=0)[tf.newaxis]
    covered = copy_paste.unfit_mask(pasted, info)
    is_kept, boxes, masks = copy_paste.uncovered(
      objects.beside[mask_crops.NAME],
      target.denormalized(objects.boxes_normalized, info[:1]),
      target.mirrored(covered, axis=1),
      target.to_stored(whole),
      self._mask_crop_size,
      *self._thresholds,
    )
    boxes_scaled = target.to_scaled(boxes)
    is_kept &= box_ops.is_not_empty(boxes_scaled)
    kept = target._replace(
      boxes_scaled=tf.boolean_mask(boxes_scaled, is_kept),
      objects=object_list.keep(objects, is_kept),
    )
    return kept, tf.boolean_mask(target.mirrored(masks, axis=2), is_kept)


def _drawn(donor: Seen) -> Seen:
  """Leaves 1 to n of n objects, in an order that is drawn, too."""
  count = tf.size(donor.objects.classes)
  with randomness.seeded(donor.element['seed']):
    order = tf.argsort(randomness.uniform([count]))
    # Of no objects none are taken.
    order = order[: randomness.integer(count) + 1]
  return donor._replace(
    boxes_scaled=tf.gather(donor.boxes_scaled, order),
    objects=object_list.take(donor.objects, order),
  )


def _overlaid(
  target: Seen,
  donor: Seen,
  is_pasted: tf.Tensor,
  finished: Callable[[tf.Tensor], tf.Tensor],
) -> tf.Tensor:
  # Of the donor nothing else is worth the time.
  places = tf.where(is_pasted)
  pixels = tf.gather_nd(donor.element['image'], places)
  return tf.tensor_scatter_update(
    target.element['image'], places, finished(pixels[tf.newaxis])[0]
  )
