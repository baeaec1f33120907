"""Faster R-CNN and Mask R-CNN (arXiv:1506.01497, arXiv:1703.06870)."""

from typing import Any

from modeling import model_registry, two_stage


@model_registry.register_model('mask_rcnn')
def from_params(params: Any) -> two_stage.TwoStageModel:
  """Builds the model from the whole config."""
  return two_stage.from_params(params, [two_stage.Stage()])
