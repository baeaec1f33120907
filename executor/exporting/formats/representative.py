"""Batches that show a converter which values occur in a network."""

from typing import Iterator, List

import numpy as np

from executor.exporting import request, sample_images
from executor.predictors import preprocessing
from utils import errors


def batches(export_request: request.ExportRequest) -> Iterator[np.ndarray]:
  """Yields whole batches of `representative_file_pattern`, as a model is fed.

  Args:
    export_request: with the input type raw_image_tensor and a static batch
      size.

  Raises:
    DataError: there are fewer images than one batch.
  """
  preprocessor = preprocessing.Preprocessor(
    export_request.image_size, export_request.image_size
  )
  waiting: List[np.ndarray] = []
  num_batches = 0
  for image in sample_images.from_records(
    export_request.representative_file_pattern,
    export_request.representative_images,
  ):
    waiting.append(preprocessor.prepare(image).pixels)
    if len(waiting) == export_request.batch_size:
      num_batches += 1
      yield np.stack(waiting)
      waiting = []
  if not num_batches:
    raise errors.DataError(
      'representative_file_pattern: {!r} has {} readable image(s), less than '
      'one batch of {}.'.format(
        export_request.representative_file_pattern,
        len(waiting),
        export_request.batch_size,
      )
    )
