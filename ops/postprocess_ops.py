"""Detections from the outputs of a detector's heads."""

import functools
import logging
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

from ops import box_coding, nms
from utils import registry

LevelTensors = Dict[int, tf.Tensor]

NMS_VERSIONS = registry.Registry('postprocess.nms_version')

# Of the targets of RoIs (Girshick, arXiv:1504.08083).
REGRESSION_WEIGHTS = (10.0, 10.0, 5.0, 5.0)

_log = logging.getLogger(__name__)


def nms_version(params: Any) -> str:
  """Returns the version of NMS that a block `postprocess` asks for."""
  return 'batched' if params.use_batched_nms else params.nms_version


class MultilevelDetectionGenerator:
  """Decodes boxes, clips them to the image and suppresses duplicates.

  Args:
    min_level: finest level of the feature pyramid.
    max_level: coarsest level.
    params: the block `postprocess`.

  Raises:
    ConfigError: `nms_version` is unknown.
  """

  def __init__(self, min_level: int, max_level: int, params: Any):
    self._levels = range(min_level, max_level + 1)
    self._apply_nms = params.apply_nms
    self._apply_sigmoid = params.apply_sigmoid
    self._suppress = _suppression(params)

  def __call__(
    self,
    box_outputs: LevelTensors,
    class_outputs: LevelTensors,
    anchor_boxes: LevelTensors,
    image_shape: tf.Tensor,
  ) -> Dict[str, tf.Tensor]:
    """Generates detections.

    Args:
      box_outputs: {level: [batch, h, w, anchors * 4]}, encoded; all but batch
        static.
      class_outputs: {level: [batch, h, w, anchors * num_classes]}, logits,
        class 0 being background.
      anchor_boxes: {level: [batch or 1, h * w * anchors, 4]}, pixels of the
        model's image.
      image_shape: [batch, 1, 2], height and width to which boxes are clipped,
        pixels of the model's image.

    Returns:
      `num_detections` int32 [batch], `detection_boxes` float32 [batch,
      max_total_size, 4] `[ymin, xmin, ymax, xmax]` in pixels of the model's
      image, `detection_scores` float32 [batch, max_total_size], descending,
      and `detection_classes` [batch, max_total_size], background being 0:
      float32 with the `batched` version, else int32. The first
      `num_detections` entries count; what stands in the others depends on the
      version. No detection is without area, and none comes twice.

      Without NMS: `raw_boxes` [batch, n, 1, 4], decoded and clipped,
      `raw_encoded_boxes` [batch, n, 4] and `raw_scores` [batch, n,
      num_classes - 1], anchors of all levels, finest first.
    """
    encoded_boxes, boxes, scores = [], [], []
    for level in self._levels:
      encoded, level_scores = self._flatten(
        box_outputs[level], class_outputs[level]
      )
      encoded_boxes.append(encoded)
      boxes.append(box_coding.decode_boxes(encoded, anchor_boxes[level]))
      scores.append(level_scores)
    boxes = clip_boxes(tf.concat(boxes, axis=1), image_shape)
    scores = tf.concat(scores, axis=1)
    if self._apply_sigmoid:
      scores = tf.sigmoid(scores)
    if not self._apply_nms:
      return {
        # TFLite knows no new axis in a slice.
        'raw_boxes': tf.expand_dims(boxes, axis=2),
        'raw_encoded_boxes': tf.concat(encoded_boxes, axis=1),
        'raw_scores': scores,
      }
    return self._suppress(boxes, scores)

  def _flatten(
    self, box_outputs: tf.Tensor, class_outputs: tf.Tensor
  ) -> Tuple[tf.Tensor, tf.Tensor]:
    """Encoded boxes [batch, n, 4], logits [batch, n, num_classes - 1]."""
    height, width, box_channels = box_outputs.shape.as_list()[1:]
    num_anchors = box_channels // 4
    num_classes = class_outputs.shape.as_list()[3] // num_anchors
    num_boxes = height * width * num_anchors
    boxes = tf.reshape(box_outputs, [-1, num_boxes, 4])
    logits = tf.reshape(class_outputs, [-1, num_boxes, num_classes])
    return boxes, tf.cast(logits[:, :, 1:], tf.float32)


class GenericDetectionGenerator:
  """Detections of a second stage, each RoI's box for each class.

  Args:
    params: the block `postprocess`; `apply_sigmoid` has no effect.

  Raises:
    ConfigError: `nms_version` is unknown.
  """

  def __init__(self, params: Any):
    self._apply_nms = params.apply_nms
    self._suppress = _suppression(params)

  def __call__(
    self,
    box_outputs: tf.Tensor,
    class_outputs: tf.Tensor,
    anchor_boxes: tf.Tensor,
    image_shape: tf.Tensor,
    regression_weights: Optional[Sequence[float]] = None,
    bbox_per_class: bool = True,
  ) -> Dict[str, tf.Tensor]:
    """Generates detections.

    Args:
      box_outputs: [batch, n, 4 * num_classes], encoded, class-major; or
        [batch, n, 4]. All but batch static.
      class_outputs: [batch, n, num_classes], logits, class 0 being background.
      anchor_boxes: [batch, n, 4], RoIs, pixels of the model's image.
      image_shape: [batch, 1, 2], height and width to which boxes are clipped.
      regression_weights: factors of the encoded values; (10, 10, 5, 5) if None.
      bbox_per_class: whether each class has a box of its own.

    Returns:
      As `MultilevelDetectionGenerator`. Without NMS: `raw_boxes` [batch, n,
      num_classes - 1, 4], or [batch, n, 1, 4], and `raw_scores` [batch, n,
      num_classes - 1].
    """
    num_rois, num_classes = class_outputs.shape.as_list()[1:]
    scores = tf.nn.softmax(tf.cast(class_outputs, tf.float32))[:, :, 1:]
    num_boxes = num_classes - 1 if bbox_per_class else 1
    encoded = tf.reshape(
      box_outputs, [-1, num_rois, box_outputs.shape[2] // 4, 4]
    )
    boxes = box_coding.decode_boxes(
      # The background's box is left out.
      encoded[:, :, -num_boxes:],
      tf.expand_dims(anchor_boxes, axis=2),
      regression_weights or REGRESSION_WEIGHTS,
    )
    boxes = clip_boxes(
      tf.reshape(boxes, [-1, num_rois * num_boxes, 4]), image_shape
    )
    if self._apply_nms and not bbox_per_class:
      return self._suppress(boxes, scores)
    boxes = tf.reshape(boxes, [-1, num_rois, num_boxes, 4])
    if self._apply_nms:
      return self._suppress(boxes, scores)
    return {'raw_boxes': boxes, 'raw_scores': scores}


def _suppression(params: Any) -> Callable[..., Dict[str, tf.Tensor]]:
  """Function of boxes and scores that the block `postprocess` asks for."""
  if params.use_batched_nms:
    _log.warning(
      'postprocess.use_batched_nms is deprecated; it overrides '
      "nms_version: %r. Write nms_version: 'batched'.",
      params.nms_version,
    )
  return functools.partial(NMS_VERSIONS.get(nms_version(params)), params=params)


def clip_boxes(boxes: tf.Tensor, image_shape: tf.Tensor) -> tf.Tensor:
  """Clips boxes to the pixels of their images.

  Args:
    boxes: float [batch, n, 4], `[ymin, xmin, ymax, xmax]`.
    image_shape: [batch, 1, 2], height and width.

  Returns:
    Boxes with coordinates from 0 to the image's size - 1.
  """
  limit = tf.cast(tf.tile(image_shape, [1, 1, 2]), boxes.dtype) - 1.0
  return tf.maximum(tf.minimum(boxes, limit), 0.0)


@NMS_VERSIONS.register('v1')
def _nms_v1(
  boxes: tf.Tensor, scores: tf.Tensor, params: Any
) -> Dict[str, tf.Tensor]:
  """Free slots: score -1, class 1 with its best box."""
  kept = _nms_with_padding_score(boxes, scores, params)
  if boxes.shape.ndims == 4:
    boxes = boxes[:, :, 0]
  best = tf.argmax(scores[:, :, 0], axis=1, output_type=tf.int32)
  best = tf.gather(boxes, best[:, None], batch_dims=1, axis=1)
  padding = tf.tile(best, [1, params.max_total_size, 1])
  return _detections(kept, padding, padding_score=-1.0)


@NMS_VERSIONS.register('v2')
def _nms_v2(
  boxes: tf.Tensor, scores: tf.Tensor, params: Any
) -> Dict[str, tf.Tensor]:
  """Free slots: score -1, class 1, box of zeros."""
  kept = _nms_with_padding_score(boxes, scores, params)
  return _detections(kept, tf.zeros_like(kept.boxes), padding_score=-1.0)


@NMS_VERSIONS.register('batched')
def _nms_batched(
  boxes: tf.Tensor, scores: tf.Tensor, params: Any
) -> Dict[str, tf.Tensor]:
  """No limit per class. Free slots: score 0, class 1, box of zeros."""
  kept = _suppress(
    boxes, scores, params, params.score_threshold, suppress_equal=False
  )
  detections = _detections(kept, tf.zeros_like(kept.boxes), padding_score=0.0)
  classes = detections['detection_classes']
  detections['detection_classes'] = tf.cast(classes, tf.float32)
  return detections


def _nms_with_padding_score(
  boxes: tf.Tensor, scores: tf.Tensor, params: Any
) -> nms.KeptBoxes:
  # Free slots have score -1 and rank before logits below that.
  threshold = max(params.score_threshold, -1.0)
  limit = params.pre_nms_num_boxes
  return _suppress(
    boxes, scores, params, threshold, max_candidates_per_class=limit
  )


def _suppress(
  boxes: tf.Tensor,
  scores: tf.Tensor,
  params: Any,
  score_threshold: float,
  **kwargs: Any,
) -> nms.KeptBoxes:
  return (
    nms.class_agnostic_nms if params.class_agnostic_nms else nms.multiclass_nms
  )(
    boxes,
    scores,
    params.max_total_size,
    params.nms_iou_threshold,
    score_threshold,
    **kwargs,
  )


def _detections(
  kept: nms.KeptBoxes, padding_boxes: tf.Tensor, padding_score: float
) -> Dict[str, tf.Tensor]:
  is_used = kept.classes >= 0
  is_used_box = tf.tile(is_used[:, :, tf.newaxis], [1, 1, 4])
  padding_scores = tf.fill(tf.shape(kept.scores), padding_score)
  return {
    'num_detections': kept.count,
    'detection_boxes': tf.where(is_used_box, kept.boxes, padding_boxes),
    # Column 0 is class 1, for background has been left out.
    'detection_classes': tf.maximum(kept.classes, 0) + 1,
    'detection_scores': tf.where(is_used, kept.scores, padding_scores),
  }
