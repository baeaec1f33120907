"""Input of RetinaNet: class and box targets of anchors."""

import functools
from typing import Any, Callable, Dict, Tuple

import tensorflow.compat.v1 as tf

from configs import factory
from dataloader import anchor_targets, object_list, parser_registry
from dataloader.parsers import detection
from ops import anchors as anchors_lib


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
  | source_id | [B] int64 | all but EVAL |
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
    self._anchor_targets = anchor_targets.AnchorTargets(
      anchors(self._padded_size), match_threshold, unmatched_threshold
    )

  def _targets(
    self,
    boxes_scaled: tf.Tensor,
    objects: object_list.ObjectList,
    batch: detection.Tensors,
  ) -> detection.Tensors:
    targets = self._anchor_targets(
      boxes_scaled, objects, batch.get('is_padding')
    )
    return {
      'cls_targets': targets.classes,
      'box_targets': targets.boxes,
      'num_positives': targets.num_positives,
    }

  def _constant_labels(self, batch_size: int) -> detection.Tensors:
    return {'anchor_boxes': self._anchor_targets.anchor_boxes(batch_size)}


@parser_registry.register_parser('retinanet_parser')
def from_params(params: Any, mode: str) -> RetinanetParser:
  """Builds the parser from the whole config."""
  return RetinanetParser(**arguments(params, mode))


def arguments(params: Any, mode: str) -> Dict[str, Any]:
  """Arguments of `RetinanetParser` from the whole config."""
  settings = factory.parser_settings(params)
  return dict(
    detection.arguments(params, mode),
    anchors=functools.partial(anchors_lib.from_params, params),
    match_threshold=settings.match_threshold,
    unmatched_threshold=settings.unmatched_threshold,
  )
