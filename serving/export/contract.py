"""Contract of a new export."""

import os
from typing import Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from modeling import checkpoint as checkpoint_lib
from ops import preprocess_ops
from serving.contract import (
  DIRECTORY,
  NORMALIZED,
  PIXELS,
  Artefact,
  Contract,
  TensorSpec,
)
from serving.export import request
from utils import version

__all__ = ['DIRECTORY', 'Artefact', 'Contract', 'TensorSpec', 'of_export']


def of_export(
  export_request: request.ExportRequest, artefacts: Sequence[Artefact]
) -> Contract:
  """Returns the contract of what was written."""
  params, checkpoint, options = export_request
  return Contract(
    model=params.type,
    image_size=options.image_size,
    padded_size=preprocess_ops.padded_size(
      options.image_size, export_request.model.stride
    ),
    batch_size=options.batch_size,
    coordinates=(
      NORMALIZED if options.output_normalized_coordinates else PIXELS
    ),
    mean_rgb=[round(float(x), 6) for x in preprocess_ops.MEAN_RGB],
    stddev_rgb=[round(float(x), 6) for x in preprocess_ops.STDDEV_RGB],
    num_classes=params.architecture.num_classes,
    checkpoint=os.path.basename(checkpoint),
    step=checkpoint_lib.stored_step(checkpoint),
    versions={
      'tpu-detection': version.VERSION,
      'tensorflow': tf.__version__,
      'numpy': np.__version__,
    },
    artefacts=list(artefacts),
    image_fit=export_request.model.image_fit,
  )
