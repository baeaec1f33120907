"""Runs trained detectors: checkpoints and what they were exported to."""

from typing import Any, Optional, Sequence

from serving.predictors import checkpoint as checkpoint_lib
from serving.predictors import exported, predictor


def from_checkpoint(
  checkpoint: str, params: Any, image_size: Optional[Sequence[int]] = None
) -> predictor.Predictor:
  """Returns a predictor that runs a checkpoint.

  Args as those of `checkpoint.CheckpointPredictor`.
  """
  return checkpoint_lib.CheckpointPredictor(checkpoint, params, image_size)


def load(
  export_dir: str, format_name: Optional[str] = None, variant: str = ''
) -> predictor.Predictor:
  """Returns a predictor that runs what was exported.

  Args as those of `exported.load`.
  """
  return exported.load(export_dir, format_name, variant)
