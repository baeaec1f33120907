"""Targets of anchors: classes and encoded boxes, by level."""

from typing import Dict, NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader import object_list
from ops import anchors as anchors_lib
from ops import box_coding, matcher


class Targets(NamedTuple):
  """What the anchors of a batch are to learn, by level of h x w positions.

  Attributes:
    classes: int32 [batch, h, w, A], class ids, `matcher.UNMATCHED` or
      `matcher.IGNORED`.
    boxes: float32 [batch, h, w, 4A] of `box_coding.encode_targets`, 0 where
      there is no box.
    num_positives: float32 [batch], number of anchors with a class.
  """

  classes: Dict[int, tf.Tensor]
  boxes: Dict[int, tf.Tensor]
  num_positives: tf.Tensor


class AnchorTargets:
  """Gives each anchor the object that it matches.

  Args:
    anchors: all anchors of the padded image.
    match_threshold: see `AnchorMatcher`.
    unmatched_threshold: see `AnchorMatcher`.
  """

  def __init__(
    self,
    anchors: anchors_lib.Anchors,
    match_threshold: float,
    unmatched_threshold: float,
  ):
    self._anchors = anchors
    self._anchor_boxes = anchors.boxes_by_level
    self._matcher = matcher.AnchorMatcher(
      anchors, match_threshold, unmatched_threshold
    )

  def anchor_boxes(self, batch_size: int) -> Dict[int, tf.Tensor]:
    """The anchors of a batch by level, float32 [batch, h * w * A, 4]."""
    return {
      level: tf.tile(boxes[np.newaxis], [batch_size, 1, 1])
      for level, boxes in self._anchor_boxes.items()
    }

  def __call__(
    self,
    boxes_scaled: tf.Tensor,
    objects: object_list.ObjectList,
    is_padding: Optional[tf.Tensor] = None,
  ) -> Targets:
    """Targets of a batch.

    Args:
      boxes_scaled: float32 [n, 4], pixels of the padded image, none empty.
      objects: the n objects.
      is_padding: bool [batch], images whose anchors are all ignored.
    """
    num_boxes = objects.num_objects
    batch_size = num_boxes.shape.as_list()[0]
    matches = self._matcher(boxes_scaled, objects.image_indices)
    row = self._row(matches.image_indices, matches.anchor_indices, batch_size)
    groundtruth = matches.groundtruth_indices
    matched = tf.where(groundtruth >= 0)[:, 0]
    found = tf.gather(groundtruth, matched)
    matched_row = tf.gather(row, matched)[:, tf.newaxis]

    all_anchors = np.concatenate(list(self._anchor_boxes.values()))
    box_targets = tf.scatter_nd(
      matched_row,
      box_coding.encode_targets(
        tf.gather(boxes_scaled, found),
        tf.gather(all_anchors, tf.gather(matches.anchor_indices, matched)),
      ),
      [batch_size * self._anchors.num_anchors, 4],
    )
    background = self._matcher.background(num_boxes)
    if is_padding is not None:
      ignored = tf.fill([batch_size], matcher.IGNORED)
      background = tf.where(is_padding, ignored, background)
    class_targets = tf.concat(
      [
        tf.reshape(tf.tile(background[:, tf.newaxis], [1, len(boxes)]), [-1])
        for boxes in self._anchor_boxes.values()
      ],
      axis=0,
    )
    class_targets = tf.tensor_scatter_update(
      class_targets, row[:, tf.newaxis], groundtruth
    )
    class_targets = tf.tensor_scatter_update(
      class_targets, matched_row, tf.gather(objects.classes, found)
    )
    num_positives = tf.math.unsorted_segment_sum(
      tf.ones_like(found, tf.float32),
      tf.gather(matches.image_indices, matched),
      batch_size,
    )
    return Targets(
      self._by_level(class_targets, batch_size, 1),
      self._by_level(box_targets, batch_size, 4),
      num_positives,
    )

  def _row(
    self, image: tf.Tensor, anchor: tf.Tensor, batch_size: int
  ) -> tf.Tensor:
    """Row of an anchor when levels come first, then images of the batch."""
    sizes = [len(boxes) for boxes in self._anchor_boxes.values()]
    ends = np.cumsum(sizes)
    level = tf.searchsorted(tf.constant(ends, tf.int32), anchor, side='right')
    first = tf.gather(np.int32(ends - sizes), level)
    size = tf.gather(np.int32(sizes), level)
    return first * batch_size + image * size + anchor - first

  def _by_level(
    self, targets: tf.Tensor, batch_size: int, depth: int
  ) -> Dict[int, tf.Tensor]:
    """[rows, ...] to {level: [B, h, w, A * depth]}."""
    sizes = [len(boxes) for boxes in self._anchor_boxes.values()]
    # Rows are taken together: what begins at a multiple of 64 bytes is split
    # off without a copy.
    unit = np.gcd.reduce(sizes)
    targets = tf.reshape(targets, [-1, batch_size * unit * depth])
    parts = tf.split(targets, [size // unit for size in sizes])
    depth *= self._anchors.anchors_per_location
    return {
      level: tf.reshape(part, (batch_size,) + size + (depth,))
      for (level, size), part in zip(self._anchors.grid_sizes.items(), parts)
    }
