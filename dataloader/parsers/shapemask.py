"""Input of ShapeMask: RetinaNet's targets, and masks of sampled objects."""

from typing import Any, Dict, Optional, Sequence

import tensorflow.compat.v1 as tf

from configs import class_splits, factory
from dataloader import (
  mask_crops,
  object_list,
  parser_registry,
  record_contents,
  tf_example_decoder,
)
from dataloader.autoaugment import randomness
from dataloader.parsers import detection, retinanet
from ops import box_ops, postprocess_ops
from utils import mode_keys

Tensors = detection.Tensors

_SHUFFLE, _JITTER = 'shuffle', 'jitter'
# Random numbers of an image, after those of the template: the seed of these.
_FIRST_DRAW = detection.DetectionParser.num_draws
_SEED_DRAWS = slice(_FIRST_DRAW, _FIRST_DRAW + 2)


class ShapemaskParser(retinanet.RetinanetParser):
  """Parser of ShapeMask (Kuo et al., arXiv:1904.03239).

  Labels are those of `RetinanetParser`, and in TRAIN (B: batch, N:
  num_sampled_masks, c: mask_crop_size, u: upsample_factor):

  | key | shape, dtype |
  |---|---|
  | mask_boxes, mask_outer_boxes | [B, N, 4] float32 |
  | mask_classes | [B, N] int64 |
  | mask_targets | [B, N, c, c] float32 |
  | fine_mask_targets | [B, N, c * u, c * u] float32 |
  | mask_is_valid | [B, N] int32 |

  They are of N objects at random, or of all with zeros after them. Boxes are
  in pixels of the padded image, jittered; an outer box is the box enlarged,
  and what the targets, 0 or 1, cover. Of an image with any object all N count,
  also the zeros, which are learned as boxes without a mask; with a split those
  of its classes alone.

  Args:
    num_sampled_masks: N.
    mask_crop_size: c.
    upsample_factor: u.
    outer_box_scale: sides of an outer box, in those of the box.
    box_jitter_scale: standard deviation of the shift of a box, in its sides,
      and of the logarithm by which its sides change.
    mask_split: ids of the classes whose masks are learned; None for all.
    use_category: whether objects keep their classes; otherwise all are of
      class 1.
    **kwargs: of `RetinanetParser`; a policy would not move the masks.
  """

  num_draws = _SEED_DRAWS.stop

  def __init__(
    self,
    num_sampled_masks: int,
    mask_crop_size: int,
    upsample_factor: int,
    outer_box_scale: float,
    box_jitter_scale: float = 0.0,
    mask_split: Optional[Sequence[int]] = None,
    use_category: bool = True,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._num_sampled_masks = num_sampled_masks
    self._sizes = [mask_crop_size, mask_crop_size * upsample_factor]
    self._outer_box_scale = outer_box_scale
    self._box_jitter_scale = box_jitter_scale
    self._mask_split = mask_split
    self._use_category = use_category
    if self._is_training:
      self.contents = record_contents.OBJECTS_WITH_MASKS
      self.beside = {
        **mask_crops.BESIDE,
        _SHUFFLE: (tf.float32, ()),
        _JITTER: (tf.float32, (4,)),
      }

  def process(
    self, data: Tensors, draws: Optional[tf.Tensor] = None
  ) -> Tensors:
    if self._is_training:
      # Each object has its own, so that what others there are is of no effect.
      seed = randomness.seed_of(draws[_SEED_DRAWS])
      count = tf.shape(data['groundtruth_boxes'])[0]
      data = dict(data)
      data[_SHUFFLE] = tf.random.stateless_uniform([count], seed)
      data[_JITTER] = self._box_jitter_scale * tf.random.stateless_normal(
        [count, 4], seed + [0, 1]
      )
    return super().process(data, draws)

  def _checked_objects(self, batch: Tensors) -> object_list.ObjectList:
    objects = super()._checked_objects(batch)
    if self._use_category:
      return objects
    return objects._replace(classes=tf.minimum(objects.classes, 1))

  def _targets(
    self,
    boxes_scaled: tf.Tensor,
    objects: object_list.ObjectList,
    batch: Tensors,
  ) -> Tensors:
    labels = super()._targets(boxes_scaled, objects, batch)
    if self._is_training:
      labels.update(self._sampled_masks(boxes_scaled, objects, batch))
    return labels

  def _sampled_masks(
    self,
    boxes: tf.Tensor,
    objects: object_list.ObjectList,
    batch: Tensors,
  ) -> Tensors:
    has_objects = tf.cast(objects.num_objects > 0, tf.int32)
    # Halves stay below the distance of two images also where float32 rounds.
    key = tf.cast(objects.image_indices, tf.float32)
    key += objects.beside[_SHUFFLE] / 2.0
    order = tf.argsort(key, stable=True)
    objects = object_list.take(objects, order)
    is_drawn = object_list.positions(objects) < self._num_sampled_masks
    boxes = tf.boolean_mask(tf.gather(boxes, order), is_drawn)
    objects = object_list.keep(objects, is_drawn)
    boxes = self._clip(_jittered(boxes, objects.beside[_JITTER]))
    outer_boxes = self._clip(box_ops.scale_boxes(boxes, self._outer_box_scale))
    coarse, fine = (
      tf.cast(crops >= 0.5, tf.float32)
      for crops in mask_crops.crop(outer_boxes, objects, batch, self._sizes)
    )

    def rows(values):
      return object_list.by_image(objects, values, self._num_sampled_masks, 0)

    classes = rows(tf.cast(objects.classes, tf.int64))
    is_valid = has_objects[:, tf.newaxis] * tf.ones_like(classes, tf.int32)
    if self._mask_split is not None:
      split = tf.constant(self._mask_split, tf.int64)
      is_in_split = tf.equal(classes[..., tf.newaxis], split)
      is_valid *= tf.cast(tf.reduce_any(is_in_split, axis=2), tf.int32)
    return {
      'mask_boxes': rows(boxes),
      'mask_outer_boxes': rows(outer_boxes),
      'mask_classes': classes,
      'mask_targets': rows(coarse),
      'fine_mask_targets': rows(fine),
      'mask_is_valid': is_valid,
    }

  def _clip(self, boxes: tf.Tensor) -> tf.Tensor:
    size = tf.constant([[self.output_size]])
    return postprocess_ops.clip_boxes(boxes[tf.newaxis], size)[0]

  def masks(
    self,
    boxes_scaled: tf.Tensor,
    objects: object_list.ObjectList,
    batch: Dict[str, Any],
  ) -> tf.Tensor:
    """What boxes show of the masks as stored; see `mask_crops.crop`."""
    return mask_crops.crop(boxes_scaled, objects, batch, self._sizes)[1]


def _jittered(boxes: tf.Tensor, jitter: tf.Tensor) -> tf.Tensor:
  """Boxes [n, 4] moved and resized by [n, 4]: y, x, log height, log width."""
  low, high = tf.split(boxes, 2, axis=1)
  shift, growth = tf.split(jitter, 2, axis=1)
  sides = high - low
  centre = (low + high) / 2.0 + shift * sides
  half = sides * tf.exp(growth) / 2.0
  return tf.concat([centre - half, centre + half], axis=1)


@parser_registry.register_parser('shapemask_parser')
def from_params(params: Any, mode: str) -> ShapemaskParser:
  """Builds the parser from the whole config."""
  settings = factory.parser_settings(params)
  return ShapemaskParser(
    num_sampled_masks=settings.num_sampled_masks,
    mask_crop_size=settings.mask_crop_size,
    upsample_factor=settings.upsample_factor,
    outer_box_scale=settings.outer_box_scale,
    box_jitter_scale=settings.box_jitter_scale,
    mask_split=class_splits.SPLITS[settings.mask_train_class],
    use_category=settings.use_category,
    **dict(
      retinanet.arguments(params, mode),
      decoder=tf_example_decoder.TfExampleDecoder(
        settings.regenerate_source_id, mode == mode_keys.TRAIN
      ),
    ),
  )
