"""Images for the calibration of integers."""

from typing import Iterator

import numpy as np

from ops import preprocess_ops
from serving.export import request, sample_images
from serving.predictors import preprocessing
from utils import errors


def images(export_request: request.ExportRequest) -> Iterator[np.ndarray]:
  """Yields images of `representative_file_pattern`, as they are stored.

  Raises:
    ConfigError: there is no image that can be read.
  """
  options = export_request.options
  pattern, count = (
    options.representative_file_pattern,
    options.representative_images,
  )
  is_empty = True
  try:
    for image in sample_images.from_records(
      pattern, count, 'representative_file_pattern'
    ):
      is_empty = False
      yield image
  except errors.DataError as error:
    raise errors.ConfigError(str(error)) from error
  if is_empty:
    raise errors.ConfigError(
      f'representative_file_pattern: {pattern!r} holds no image that can be '
      f'read, or representative_images: {count} is below 1.'
    )


def batches(export_request: request.ExportRequest) -> Iterator[np.ndarray]:
  """Yields batches as a model is fed; the last one is filled up.

  Args:
    export_request: with the input type raw_image_tensor and a static batch
      size.

  Raises:
    ConfigError: there is no image that can be read.
  """
  options = export_request.options
  preprocessor = preprocessing.Preprocessor(
    options.image_size,
    preprocess_ops.padded_size(options.image_size, export_request.model.stride),
    export_request.model.image_fit,
  )
  waiting = []
  for image in images(export_request):
    waiting.append(preprocessor.prepare(image).pixels)
    if len(waiting) == options.batch_size:
      yield np.stack(waiting)
      waiting = []
  if waiting:
    missing = options.batch_size - len(waiting)
    yield np.stack(waiting + waiting[-1:] * missing)
