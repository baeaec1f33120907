"""Input of RetinaNet: class and box targets of anchors."""

import functools
from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from configs import factory
from dataloader import parser_registry
from dataloader.parsers import detection
from ops import anchors as anchors_lib
from ops import box_coding, matcher

Tensors = Dict[str, Any]


class RetinanetParser(detection.DetectionParser):
  """Parser of RetinaNet (Lin et al., arXiv:1708.02002).

  Labels, for levels l with h_l x w_l positions of A anchors (B: batch):

  | key | shape, dtype | modes |
  |---|---|---|
  | cls_targets[l] | [B, h_l, w_l, A] int32 | all but PREDICT |
  | box_targets[l] | [B, h_l, w_l, 4A] float32 | all but PREDICT |
  | num_positives | [B] float32 | all but PREDICT |
  | anchor_boxes[l] | [B, h_l * w_l * A, 4] float32 | all but TRAIN |
  | image_info | [B, 4, 2] float32 | all |
  | source_id | [B] int64 | TRAIN |
  | is_padding | [B] bool | all but TRAIN |
  | groundtruths | dict, see below | EVAL, PREDICT_WITH_GT |

  Class targets are class ids, -1 for background and -2 for anchors to ignore;
  box targets are of `box_coding.encode_targets`, 0 where there is no box.
  Groundtruths: source_id, height, width [B] int64; boxes [B, n, 4] float32 in
  pixels of the original image, classes [B, n] int64, areas [B, n] float32
  (all padded with -1), is_crowds [B, n] int32; and the count before cutting to
  n, [B, 1] int32, num_groundtruths in EVAL and num_detections in
  PREDICT_WITH_GT.

  Args:
    anchors: function of the padded (height, width) to `Anchors`.
    match_threshold: see `AnchorMatcher`.
    unmatched_threshold: see `AnchorMatcher`.
    **kwargs: of `DetectionParser`.
  """

  def __init__(
    self,
    anchors: Callable[[Tuple[int, int]], anchors_lib.Anchors],
    match_threshold: float = 0.5,
    unmatched_threshold: float = 0.5,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._anchors = anchors(self._padded_size)
    self._anchor_boxes = self._anchors.boxes_by_level
    self._matcher = matcher.AnchorMatcher(
      self._anchors, match_threshold, unmatched_threshold
    )

  def _targets(
    self,
    boxes_scaled: tf.Tensor,
    classes: tf.Tensor,
    image_indices: tf.Tensor,
    num_boxes: tf.Tensor,
    is_padding: Optional[tf.Tensor],
    beside: Tensors,
  ) -> Tensors:
    batch_size = num_boxes.shape.as_list()[0]
    matches = self._matcher(boxes_scaled, image_indices)
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
      class_targets, matched_row, tf.gather(classes, found)
    )
    num_positives = tf.math.unsorted_segment_sum(
      tf.ones_like(found, tf.float32),
      tf.gather(matches.image_indices, matched),
      batch_size,
    )
    return {
      'cls_targets': self._by_level(class_targets, batch_size, 1),
      'box_targets': self._by_level(box_targets, batch_size, 4),
      'num_positives': num_positives,
    }

  def _constant_labels(self, batch_size: int) -> Tensors:
    return {
      'anchor_boxes': {
        level: tf.tile(boxes[np.newaxis], [batch_size, 1, 1])
        for level, boxes in self._anchor_boxes.items()
      }
    }

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
    parts = tf.split(
      targets, [batch_size * len(b) for b in self._anchor_boxes.values()]
    )
    depth *= self._anchors.anchors_per_location
    return {
      level: tf.reshape(part, (batch_size,) + size + (depth,))
      for (level, size), part in zip(self._anchors.grid_sizes.items(), parts)
    }


@parser_registry.register_parser('retinanet_parser')
def from_params(params: Any, mode: str) -> RetinanetParser:
  """Builds the parser from the whole config."""
  settings = factory.parser_settings(params)
  return RetinanetParser(
    anchors=functools.partial(anchors_lib.from_params, params),
    match_threshold=settings.match_threshold,
    unmatched_threshold=settings.unmatched_threshold,
    **detection.arguments(params, mode),
  )
