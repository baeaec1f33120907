"""Images for the calibration of integers."""

import logging
from typing import Iterator

import numpy as np

from ops import preprocess_ops
from serving.export import request, sample_images
from serving.predictors import preprocessing
from utils import errors

_log = logging.getLogger(__name__)


def images(export_request: request.ExportRequest) -> Iterator[np.ndarray]:
  """Yields images of `representative_file_pattern`, as they are stored.

  The first ones are left to the check of the export.

  Raises:
    ConfigError: there is no image that can be read, or an object is of a class
      that the model does not have.
  """
  options = export_request.options
  pattern, count = (
    options.representative_file_pattern,
    options.representative_images,
  )
  if count < 1:
    raise errors.ConfigError(
      f'representative_images: {count} is below 1; 100 are usual.'
    )
  found = 0
  try:
    for image in sample_images.from_records(
      pattern,
      count,
      'representative_file_pattern',
      sample_images.NUM_CHECKED,
      export_request.params.architecture.num_classes,
    ):
      found += 1
      yield image
  except errors.DataError as error:
    raise errors.ConfigError(str(error)) from error
  if not found:
    raise errors.ConfigError(
      f'representative_file_pattern: {pattern!r} holds no image that can be '
      f'read behind the first {sample_images.NUM_CHECKED}, which the check '
      'takes. Give TFRecord files of more images.'
    )
  if found < count:
    _log.warning(
      'representative_file_pattern: %d images are left to calibrate with, of '
      '%d (representative_images).',
      found,
      count,
    )


def batches(export_request: request.ExportRequest) -> Iterator[np.ndarray]:
  """Yields batches as a model is fed; the last one is filled up.

  Args:
    export_request: with the input type raw_image_tensor or image_tensor; where
      any number is taken at once, it is 1.

  Raises:
    ConfigError: there is no image that can be read.
  """
  options = export_request.options
  size = options.batch_size or 1
  takes_pixels = options.input_type == 'image_tensor'
  stride = 1 if takes_pixels else export_request.model.stride
  preprocessor = preprocessing.Preprocessor(
    options.image_size,
    preprocess_ops.padded_size(options.image_size, stride),
    export_request.model.image_fit,
  )
  waiting = []
  for image in images(export_request):
    prepared = preprocessor.prepare(image).pixels
    waiting.append(
      preprocessing.to_pixels(prepared) if takes_pixels else prepared
    )
    if len(waiting) == size:
      yield np.stack(waiting)
      waiting = []
  if waiting:
    yield np.stack(waiting + waiting[-1:] * (size - len(waiting)))
