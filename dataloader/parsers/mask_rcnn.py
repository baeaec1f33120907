"""Input of two-stage detectors: targets of proposals, boxes, instance masks."""

import functools
from typing import Any, Callable, Optional, Tuple

import tensorflow.compat.v1 as tf

from configs import factory
from dataloader import (
  anchor_targets,
  base_parser,
  copy_paste,
  mask_crops,
  object_list,
  parser_registry,
  record_contents,
)
from dataloader.autoaugment import randomness
from dataloader.parsers import detection
from ops import anchor_sampler, matcher
from ops import anchors as anchors_lib

Tensors = base_parser.Tensors

_PADDING = -1
# Random numbers of an image, after those of the template: the sampler's seed.
_FIRST_DRAW = detection.DetectionParser.num_draws
_SEED_DRAWS = slice(_FIRST_DRAW, _FIRST_DRAW + 2)


class MaskrcnnParser(detection.DetectionParser):
  """Parser of Faster and Mask R-CNN (He et al., arXiv:1703.06870).

  Labels, for levels l with h_l x w_l positions of A anchors (B: batch,
  N: max_num_instances, m: mask_crop_size):

  | key | shape, dtype | modes |
  |---|---|---|
  | rpn_score_targets[l] | [B, h_l, w_l, A] int32 | TRAIN |
  | rpn_box_targets[l] | [B, h_l, w_l, 4A] float32 | TRAIN |
  | gt_boxes | [B, N, 4] float32 | TRAIN |
  | gt_classes | [B, N] int64 | TRAIN |
  | gt_masks | [B, N, m, m] float32 | TRAIN, with masks |
  | anchor_boxes[l] | [B, h_l * w_l * A, 4] float32 | all but TRAIN |
  | image_info | [B, 4, 2] float32 | all |
  | source_id | [B] int64 | all but EVAL |
  | is_padding | [B] bool | all but TRAIN |
  | groundtruths | dict, see `RetinanetParser` | EVAL, PREDICT_WITH_GT |

  Score targets are of `anchor_sampler`, for anchors drawn by the seed of the
  image; box targets are of `box_coding.encode_targets`, for all anchors that
  match a box, else 0. Groundtruth is padded with -1: boxes in pixels of the
  padded image; masks in [0, 1], what a box shows of its object.

  Args:
    anchors: function of the padded (height, width) to `Anchors`.
    rpn_match_threshold: see `AnchorMatcher`.
    rpn_unmatched_threshold: see `AnchorMatcher`.
    sampler: of the anchors that proposals are learned from.
    mask_crop_size: side of the masks; None for none.
    pastes: puts objects of a second record over those of a training image; None
      if there is none.
    **kwargs: of `DetectionParser`; a policy would not move the masks.
  """

  num_draws = _SEED_DRAWS.stop

  def __init__(
    self,
    anchors: Callable[[Tuple[int, int]], anchors_lib.Anchors],
    rpn_match_threshold: float,
    rpn_unmatched_threshold: float,
    sampler: anchor_sampler.AnchorSampler,
    mask_crop_size: Optional[int],
    pastes: Optional[copy_paste.CopyPaste] = None,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._anchor_targets = anchor_targets.AnchorTargets(
      anchors(self._padded_size), rpn_match_threshold, rpn_unmatched_threshold
    )
    self._sampler = sampler
    self._mask_crop_size = mask_crop_size
    if self._is_training:
      self.max_objects = self._max_num_instances
    if mask_crop_size and self._is_training:
      self.contents = record_contents.OBJECTS_WITH_MASKS
      self.beside = mask_crops.BESIDE
    self._pastes = pastes if self._is_training else None
    self.takes_second_record = self._pastes is not None

  def process(
    self,
    data: Tensors,
    draws: Optional[tf.Tensor] = None,
    *second: Any,
  ) -> Tensors:
    element = super().process(data, draws)
    if not second:
      return element

    def seen(one):
      batch = object_list.one_image(one)
      return copy_paste.Seen(one, *super(MaskrcnnParser, self).learned(batch))

    donor = self._view(*second)
    return self._pastes(seen(element), seen(donor), self._finished)

  def _view(self, data: Tensors, draws: Optional[tf.Tensor]) -> Tensors:
    element = super()._view(data, draws)
    if self._is_training:
      element['seed'] = randomness.seed_of(draws[_SEED_DRAWS])
    return element

  def learned(self, batch: Tensors) -> Tuple[tf.Tensor, object_list.ObjectList]:
    if self._pastes is None:
      return super().learned(batch)
    objects = object_list.unpack(
      batch['objects'], batch['image'].shape.as_list()[0]
    )
    return objects.beside[copy_paste.BOXES], objects

  def _constant_labels(self, batch_size: int) -> Tensors:
    return {'anchor_boxes': self._anchor_targets.anchor_boxes(batch_size)}

  def _targets(
    self,
    boxes_scaled: tf.Tensor,
    objects: object_list.ObjectList,
    batch: Tensors,
  ) -> Tensors:
    if not self._is_training:
      return {}
    labels = self._proposal_targets(boxes_scaled, objects, batch['seed'])
    fits = object_list.positions(objects) < self._max_num_instances
    objects = object_list.keep(objects, fits)
    boxes_scaled = tf.boolean_mask(boxes_scaled, fits)

    def rows(values):
      return object_list.by_image(
        objects, values, self._max_num_instances, _PADDING
      )

    labels['gt_boxes'] = rows(boxes_scaled)
    labels['gt_classes'] = rows(tf.cast(objects.classes, tf.int64))
    if self._mask_crop_size:
      labels['gt_masks'] = rows(self.masks(boxes_scaled, objects, batch))
    return labels

  def _proposal_targets(
    self,
    boxes_scaled: tf.Tensor,
    objects: object_list.ObjectList,
    seeds: tf.Tensor,
  ) -> Tensors:
    targets = self._anchor_targets(boxes_scaled, objects)
    classes = targets.classes
    sizes = {level: c.shape.as_list() for level, c in classes.items()}
    by_image = tf.concat(
      [tf.reshape(c, [c.shape.as_list()[0], -1]) for c in classes.values()],
      axis=1,
    )
    scores = tf.split(
      self._sampler(by_image > 0, tf.equal(by_image, matcher.UNMATCHED), seeds),
      [h * w * a for _, h, w, a in sizes.values()],
      axis=1,
    )
    return {
      'rpn_score_targets': {
        level: tf.reshape(score, size)
        for (level, size), score in zip(sizes.items(), scores)
      },
      'rpn_box_targets': targets.boxes,
    }

  def masks(
    self,
    boxes_scaled: tf.Tensor,
    objects: object_list.ObjectList,
    batch: Tensors,
  ) -> tf.Tensor:
    """What boxes show of the masks.

    Args:
      boxes_scaled: float32 [n, 4], pixels of the model's image.
      objects: n of a batch.
      batch: `image_info` [batch, 4, 2] and `is_flipped` [batch].

    Returns:
      float32 [n, m, m] in [0, 1], m of `mask_crop_size`.
    """
    if self._pastes is not None:
      return objects.beside[copy_paste.MASKS]
    return mask_crops.crop(
      boxes_scaled, objects, batch, [self._mask_crop_size]
    )[0]


@parser_registry.register_parser('maskrcnn_parser')
def from_params(params: Any, mode: str) -> MaskrcnnParser:
  """Builds the parser from the whole config."""
  settings = factory.parser_settings(params)
  has_masks = params.architecture.include_mask
  return MaskrcnnParser(
    anchors=functools.partial(anchors_lib.from_params, params),
    rpn_match_threshold=settings.rpn_match_threshold,
    rpn_unmatched_threshold=settings.rpn_unmatched_threshold,
    sampler=anchor_sampler.AnchorSampler(
      settings.rpn_batch_size_per_im, settings.rpn_fg_fraction
    ),
    mask_crop_size=settings.mask_crop_size if has_masks else None,
    pastes=copy_paste.CopyPaste(
      settings.mask_crop_size,
      settings.occluded_box_threshold,
      settings.occluded_mask_threshold,
    )
    if settings.copy_paste
    else None,
    **detection.arguments(params, mode),
  )
