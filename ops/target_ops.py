"""Targets of a second stage: RoIs matched, drawn and given masks."""

from typing import Any, Callable, NamedTuple, Tuple

import tensorflow.compat.v1 as tf

from ops import box_coding, box_ops, spatial_transform_ops
from utils import errors

NO_MATCH = -1


class Matches(NamedTuple):
  """The groundtruth box of largest IoU of each RoI.

  Attributes:
    boxes: float32 [batch, n, 4]; zeros where nothing overlaps.
    classes: [batch, n], dtype of the groundtruth's; 0 where nothing does.
    indices: int32 [batch, n], `NO_MATCH` where nothing does.
    iou: float32 [batch, n]; -1 without any groundtruth.
  """

  boxes: tf.Tensor
  classes: tf.Tensor
  indices: tf.Tensor
  iou: tf.Tensor


def match(
  rois: tf.Tensor, gt_boxes: tf.Tensor, gt_classes: tf.Tensor
) -> Matches:
  """Matches RoIs to groundtruth; of equal IoUs the lowest index wins.

  Args:
    rois: float32 [batch, n, 4], `[ymin, xmin, ymax, xmax]`.
    gt_boxes: float32 [batch, m, 4], same frame; rows of -1 are padding.
    gt_classes: int [batch, m].
  """
  is_box = tf.reduce_max(gt_boxes, axis=2) >= 0.0
  iou = box_ops.pairwise_iou(rois, gt_boxes)
  nothing = tf.fill(tf.shape(iou), -1.0)
  iou = tf.where(
    tf.broadcast_to(is_box[:, tf.newaxis], tf.shape(iou)), iou, nothing
  )
  best = tf.argmax(iou, axis=2, output_type=tf.int32)
  iou = tf.reduce_max(iou, axis=2)
  overlaps = iou > 0.0
  boxes = tf.gather(gt_boxes, best, batch_dims=1, axis=1)
  classes = tf.gather(gt_classes, best, batch_dims=1, axis=1)
  return Matches(
    boxes=boxes * tf.cast(overlaps, boxes.dtype)[:, :, tf.newaxis],
    classes=classes * tf.cast(overlaps, classes.dtype),
    indices=tf.where(overlaps, best, tf.fill(tf.shape(best), NO_MATCH)),
    iou=iou,
  )


def with_background(matches: Matches, is_background: tf.Tensor) -> Matches:
  """Gives class 0 and index 0 to RoIs, bool [batch, n]; they keep the box."""
  zeros = tf.zeros_like
  return matches._replace(
    classes=tf.where(is_background, zeros(matches.classes), matches.classes),
    indices=tf.where(is_background, zeros(matches.indices), matches.indices),
  )


def box_targets(
  rois: tf.Tensor,
  boxes: tf.Tensor,
  classes: tf.Tensor,
  weights: Tuple[float, ...],
) -> tf.Tensor:
  """Encoded boxes float32 [batch, n, 4], zeros for class 0."""
  encoded = box_coding.encode_boxes(boxes, rois, weights)
  is_object = tf.tile(classes[:, :, tf.newaxis] > 0, [1, 1, 4])
  return tf.where(is_object, encoded, tf.zeros_like(encoded))


class ROISampler:
  """Matches proposals to groundtruth and draws those that train.

  Args:
    params: the block `roi_sampling`.
    draw: returns float32 of a shape, uniform in [0, 1), which decides.
  """

  def __init__(
    self,
    params: Any,
    draw: Callable[[tf.Tensor], tf.Tensor] = tf.random_uniform,
  ):
    self._params = params
    self._draw_noise = draw

  def __call__(
    self, rois: tf.Tensor, gt_boxes: tf.Tensor, gt_classes: tf.Tensor
  ) -> Tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Draws s = `num_samples_per_image` RoIs of each image.

    Args:
      rois: float32 [batch, n, 4], `[ymin, xmin, ymax, xmax]`, n static.
      gt_boxes: float32 [batch, m, 4], same frame, m static; rows of -1 are
        padding.
      gt_classes: int [batch, m].

    Returns:
      RoIs float32 [batch, s, 4], in the order of the candidates, which end
      with `gt_boxes` if they are mixed in; and, as in `Matches`, boxes, classes
      (0 is background) and indices. Index 0 stands for background as well.

    Raises:
      ConfigError: there are fewer candidates than are to be drawn.
    """
    params = self._params
    rois = tf.stop_gradient(rois)
    if params.mix_gt_boxes:
      rois = tf.concat([rois, gt_boxes], axis=1)
    num_candidates = rois.shape.as_list()[1]
    if num_candidates < params.num_samples_per_image:
      raise errors.ConfigError(
        f'roi_sampling.num_samples_per_image: {params.num_samples_per_image} '
        f'RoIs cannot be drawn from {num_candidates} candidates, which is what '
        'the anchors, roi_proposal.rpn_post_nms_top_k and the groundtruth '
        'give. Lower it, or use larger images.'
      )
    matches = match(rois, gt_boxes, gt_classes)
    is_positive = matches.iou > params.fg_iou_thresh
    is_negative = (matches.iou >= params.bg_iou_thresh_lo) & (
      matches.iou < params.bg_iou_thresh_hi
    )
    matches = with_background(matches, is_negative)
    chosen = self._draw(
      is_positive, (is_positive | is_negative) & (matches.iou >= 0.0)
    )
    return tuple(
      tf.gather(values, chosen, batch_dims=1, axis=1)
      for values in (rois, matches.boxes, matches.classes, matches.indices)
    )

  def _draw(
    self, is_positive: tf.Tensor, is_selectable: tf.Tensor
  ) -> tf.Tensor:
    """Indices int32 [batch, s] of the chosen among n candidates, ascending.

    Up to `fg_fraction` are positives and the rest negatives, of which there may
    be too few; then further positives follow, and at last the first others.

    Args:
      is_positive: bool [batch, n].
      is_selectable: bool [batch, n], positive or negative.
    """
    num_samples = self._params.num_samples_per_image
    count = is_positive.shape.as_list()[1]
    place = tf.range(1, count + 1, dtype=tf.float32)[tf.newaxis]
    others = tf.cumsum(tf.cast(~is_selectable, tf.int32), axis=1)
    missing = num_samples - tf.reduce_sum(
      tf.cast(is_selectable, tf.int32), axis=1, keepdims=True
    )
    is_selectable |= others <= missing

    # Entries in random order, signed by kind: the most positive are random
    # positives, the most negative are random negatives.
    noise = self._draw_noise(tf.shape(is_positive))
    order = tf.nn.top_k(noise, count).indices
    sign = tf.cast(is_positive, tf.float32) * 2.0 - 1.0
    sign *= tf.cast(is_selectable, tf.float32)
    value = tf.gather(sign, order, batch_dims=1, axis=1) * place
    value, position = tf.nn.top_k(value, count)
    # All that is not selectable stands for the first in the random order.
    position *= tf.cast(tf.not_equal(value, 0.0), tf.int32)
    num_positives = tf.minimum(
      int(num_samples * self._params.fg_fraction),
      tf.reduce_sum(
        tf.cast(is_positive & is_selectable, tf.int32), axis=1, keepdims=True
      ),
    )
    slot = tf.range(num_samples)[tf.newaxis]
    slot += (count - num_samples) * tf.cast(slot >= num_positives, tf.int32)
    taken = tf.gather(position, slot, batch_dims=1, axis=1)
    taken = tf.gather(order, taken, batch_dims=1, axis=1)
    is_taken = tf.reduce_any(
      tf.equal(taken[:, :, tf.newaxis], tf.range(count)), axis=1
    )
    # The lowest of the others fill up what is drawn twice.
    rank = tf.cast(is_taken, tf.float32) * (count + 1) - place
    return tf.nn.top_k(rank, num_samples).indices


class MaskSampler:
  """Takes the RoIs that train masks, objects first, and crops their targets.

  Args:
    target_size: side of the targets, cells.
    num_samples: RoIs of each image.
  """

  def __init__(self, target_size: int, num_samples: int):
    self._target_size = target_size
    self._num_samples = num_samples

  def __call__(
    self,
    rois: tf.Tensor,
    boxes: tf.Tensor,
    classes: tf.Tensor,
    indices: tf.Tensor,
    gt_masks: tf.Tensor,
  ) -> Tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns RoIs [batch, k, 4], classes [batch, k] and mask targets.

    Args:
      rois: float32 [batch, n, 4].
      boxes: float32 [batch, n, 4], groundtruth of each RoI.
      classes: int [batch, n], 0 for background.
      indices: int32 [batch, n], of the groundtruth; a negative one is 0.
      gt_masks: float32 [batch, m, side, side], relative to the groundtruth
        boxes.

    Returns:
      The targets are float32 [batch, k, target_size, target_size], soft, and
      mean nothing where the class is 0.
    """
    is_object = tf.cast(classes > 0, tf.float32)
    chosen = tf.nn.top_k(is_object, self._num_samples).indices
    rois, boxes, classes, indices = (
      tf.gather(values, chosen, batch_dims=1, axis=1)
      for values in (rois, boxes, classes, indices)
    )
    masks = tf.gather(gt_masks, tf.maximum(indices, 0), batch_dims=1, axis=1)
    targets = spatial_transform_ops.crop_masks(
      masks, boxes, rois, self._target_size
    )
    return rois, classes, tf.stop_gradient(targets)
