"""Regions of interest that a region proposal network proposes."""

from typing import Any, Dict, Sequence, Tuple

import tensorflow.compat.v1 as tf

from ops import box_coding, nms, postprocess_ops

LevelTensors = Dict[int, tf.Tensor]

# Scores of what is no proposal; those of proposals are at least 0.
_ABSENT = -1.0
# No IoU reaches it.
_NO_SUPPRESSION = 2.0


class ROIGenerator:
  """Proposals of all levels (Ren et al., arXiv:1506.01497).

  Of each level the best boxes, without their near duplicates; of these the
  best of all levels. Boxes without area count as any other.

  Args:
    params: the block `roi_proposal`; a threshold of 0 for the IoU suppresses
      nothing, or with `use_batched_nms` whatever overlaps.
  """

  def __init__(self, params: Any):
    self._params = params

  def __call__(
    self,
    boxes: LevelTensors,
    scores: LevelTensors,
    anchors: LevelTensors,
    image_shape: tf.Tensor,
    is_training: bool,
  ) -> Tuple[tf.Tensor, tf.Tensor]:
    """Returns proposals, best first.

    Args:
      boxes: {level: [batch, h, w, anchors * 4]}, encoded; all but batch static.
      scores: {level: [batch, h, w, anchors]}, logits.
      anchors: {level: [batch or 1, h * w * anchors, 4]}, pixels of the model's
        image.
      image_shape: [batch, 2], height and width to which boxes are clipped.
      is_training: which keys of `params` count, those with `test_` or those
        without.

    Returns:
      RoIs float32 [batch, r, 4], `[ymin, xmin, ymax, xmax]`, and their scores
      float32 [batch, r]; r is `post_nms_top_k`, or the number of anchors if
      there are fewer. Absent ones have a box of zeros and score -1, or 0 with
      `use_batched_nms`. Gradients of training do not pass.
    """
    levels = [
      self._level(
        boxes[level], scores[level], anchors[level], image_shape, is_training
      )
      for level in sorted(scores)
    ]
    post_nms_top_k = self._setting('post_nms_top_k', is_training)
    num_anchors = [scores[level].shape[1:].num_elements() for level in scores]
    num_rois = min(sum(num_anchors), post_nms_top_k)
    if self._params.use_batched_nms:
      # There the limit is one of what is kept of a level.
      pre_nms_top_k = self._setting('pre_nms_top_k', is_training)
      if pre_nms_top_k < post_nms_top_k:
        levels = [
          self._suppress([level], pre_nms_top_k, is_training)
          for level in levels
        ]
    return self._suppress(levels, num_rois, is_training)

  def _setting(self, name: str, is_training: bool) -> Any:
    prefix = 'rpn_' if is_training else 'test_rpn_'
    return getattr(self._params, prefix + name)

  def _level(
    self,
    boxes: tf.Tensor,
    scores: tf.Tensor,
    anchors: tf.Tensor,
    image_shape: tf.Tensor,
    is_training: bool,
  ) -> Tuple[tf.Tensor, tf.Tensor]:
    num_boxes = scores.shape[1:].num_elements()
    scores = tf.sigmoid(
      tf.cast(tf.reshape(scores, [-1, num_boxes]), tf.float32)
    )
    boxes = box_coding.decode_boxes(
      tf.reshape(boxes, [-1, num_boxes, 4]), tf.cast(anchors, tf.float32)
    )
    boxes = postprocess_ops.clip_boxes(boxes, image_shape[:, tf.newaxis])
    if is_training:
      boxes, scores = _without_gradient(boxes), _without_gradient(scores)
    min_size = self._setting('min_size_threshold', is_training)
    if min_size > 0:
      is_large = _is_large(boxes, max(min_size, 1.0), image_shape)
      scores = tf.where(is_large, scores, tf.fill(tf.shape(scores), _ABSENT))

    if self._params.use_batched_nms:
      return boxes, scores
    num_candidates = min(num_boxes, self._setting('pre_nms_top_k', is_training))
    scores, index = tf.nn.top_k(scores, num_candidates)
    boxes = tf.gather(boxes, index, batch_dims=1, axis=1)
    # Of clipped boxes those at the origin alone hold nothing above 0.
    is_box = tf.reduce_max(boxes, axis=2) > 0
    return boxes, tf.where(is_box, scores, tf.fill(tf.shape(scores), _ABSENT))

  def _suppress(
    self,
    levels: Sequence[Tuple[tf.Tensor, tf.Tensor]],
    count: int,
    is_training: bool,
  ) -> Tuple[tf.Tensor, tf.Tensor]:
    """The best of all levels, each of which is a class of its own."""
    is_batched = self._params.use_batched_nms
    iou_threshold = self._setting('nms_threshold', is_training)
    if not is_batched and not iou_threshold:
      iou_threshold = _NO_SUPPRESSION
    score_threshold = self._setting('score_threshold', is_training)
    most = max(scores.shape.as_list()[1] for _, scores in levels)
    boxes, scores = [], []
    for level_boxes, level_scores in levels:
      missing = [0, most - level_scores.shape.as_list()[1]]
      boxes.append(tf.pad(level_boxes, [[0, 0], missing, [0, 0]]))
      scores.append(
        tf.pad(level_scores, [[0, 0], missing], constant_values=_ABSENT)
      )
    kept = nms.multiclass_nms(
      tf.stack(boxes, axis=2),
      tf.stack(scores, axis=2),
      count,
      iou_threshold,
      score_threshold if is_batched or score_threshold > 0 else _ABSENT,
      suppress_equal=not is_batched,
      keep_empty=True,
    )
    padding = tf.fill(tf.shape(kept.scores), 0.0 if is_batched else _ABSENT)
    return kept.boxes, tf.where(kept.classes >= 0, kept.scores, padding)


def _without_gradient(values: tf.Tensor) -> tf.Tensor:
  """The same float32 values; gradients stop here.

  Behind `tf.stop_gradient` they would still count the iterations of the loops
  of suppression, for nothing, which XLA cannot do. Integers have no gradient.
  """
  return tf.bitcast(tf.bitcast(values, tf.int32), tf.float32)


def _is_large(
  boxes: tf.Tensor, min_size: float, image_shape: tf.Tensor
) -> tf.Tensor:
  """bool [batch, n]: longer than `min_size`, the centre inside the image."""
  sizes = boxes[:, :, 2:] - boxes[:, :, :2] + 1.0
  centers = boxes[:, :, :2] + 0.5 * sizes
  is_inside = (centers > 0.0) & (centers < image_shape[:, tf.newaxis])
  return tf.reduce_all((sizes > min_size) & is_inside, axis=2)
