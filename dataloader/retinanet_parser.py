"""Input of RetinaNet: the class and box that each anchor has to find."""

from typing import Any, Dict

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader import detection_parser
from ops import anchors as anchors_lib
from ops import box_coding, matcher

Tensors = Dict[str, Any]


class RetinanetParser(detection_parser.DetectionParser):
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
    anchors: Any,
    match_threshold: float = 0.5,
    unmatched_threshold: float = 0.5,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._anchors: anchors_lib.Anchors = anchors(self._padded_size)
    self._anchor_boxes = self._anchors.boxes_by_level
    self._matcher = matcher.AnchorMatcher(
      self._anchors, match_threshold, unmatched_threshold
    )

  def _targets(self, boxes_scaled: tf.Tensor, classes: tf.Tensor) -> Tensors:
    matches = self._matcher(boxes_scaled)
    groundtruth = matches.groundtruth_indices
    is_matched = groundtruth >= 0
    found = tf.boolean_mask(groundtruth, is_matched)
    anchor = tf.boolean_mask(matches.anchor_indices, is_matched)
    all_anchors = np.concatenate(list(self._anchor_boxes.values()))
    box_targets = tf.scatter_nd(
      anchor[:, tf.newaxis],
      box_coding.encode_targets(
        tf.gather(boxes_scaled, found), tf.gather(all_anchors, anchor)
      ),
      [self._anchors.num_anchors, 4],
    )
    class_targets = tf.fill([self._anchors.num_anchors], matches.background)
    class_targets = tf.tensor_scatter_update(
      class_targets, matches.anchor_indices[:, tf.newaxis], groundtruth
    )
    class_targets = tf.tensor_scatter_update(
      class_targets,
      anchor[:, tf.newaxis],
      tf.cast(tf.gather(classes, found), tf.int32),
    )
    return {
      'cls_targets': self._by_level(class_targets, 1),
      'box_targets': self._by_level(box_targets, 4),
      'num_positives': tf.cast(tf.size(anchor), tf.float32),
    }

  def _padding_targets(self) -> Dict[str, Any]:
    per_location = self._anchors.anchors_per_location
    grids = self._anchors.grid_sizes
    return {
      'cls_targets': {
        level: np.full(size + (per_location,), matcher.IGNORED, np.int32)
        for level, size in grids.items()
      },
      'box_targets': {
        level: np.zeros(size + (4 * per_location,), np.float32)
        for level, size in grids.items()
      },
      'num_positives': np.float32(0),
    }

  def _constant_labels(self, batch_size: int) -> Tensors:
    return {
      'anchor_boxes': {
        level: tf.tile(boxes[np.newaxis], [batch_size, 1, 1])
        for level, boxes in self._anchor_boxes.items()
      }
    }

  def _by_level(self, targets: tf.Tensor, depth: int) -> Dict[int, tf.Tensor]:
    """[all anchors, ...] to {level: [h, w, A * depth]}."""
    grids = self._anchors.grid_sizes
    parts = tf.split(targets, [len(b) for b in self._anchor_boxes.values()])
    return {
      level: tf.reshape(
        part, size + (self._anchors.anchors_per_location * depth,)
      )
      for (level, size), part in zip(grids.items(), parts)
    }
