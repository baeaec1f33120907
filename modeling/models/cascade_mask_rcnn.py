"""Cascade R-CNN, with or without masks (Cai et al., arXiv:1712.00726)."""

from typing import Any

from modeling import model_registry, two_stage
from ops import postprocess_ops


@model_registry.register_model('cascade_mask_rcnn')
def from_params(params: Any) -> two_stage.TwoStageModel:
  """Builds the model from the whole config.

  Stages follow the one of plain R-CNN, one for each threshold. Of stage i the
  regression weights are i + 1 times those, as in the paper's three stages.
  """
  thresholds = params.roi_sampling.cascade_iou_thresholds or []
  stages = [
    two_stage.Stage(
      scope=f'frcnn_layer_{i}',
      suffix=f'_{i}',
      weights=tuple(
        (i + 1) * weight for weight in postprocess_ops.REGRESSION_WEIGHTS
      ),
      iou_threshold=threshold,
    )
    for i, threshold in enumerate([0.0, *thresholds])
  ]
  return two_stage.from_params(params, stages)
