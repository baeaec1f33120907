"""Results without a detector, for tests of what is written."""

import numpy as np

from executor.inference import pipeline
from executor.predictors import predictor

LABEL_MAP = {1: 'cat', 2: 'dog <b>'}


def result(name='a.jpg', image_id=None, size=(40, 60), note=''):
  """An image with a cat of score 0.9 and a dog of score 0.4."""
  pixels = np.full(size + (3,), 200, np.uint8)
  return pipeline.Result(
    name,
    image_id,
    pixels,
    predictor.Detections(
      np.array([[2, 3, 30, 40], [10.126, 20, 20, 50]], np.float32),
      np.array([1, 2], np.int32),
      np.array([0.9, 0.4], np.float32),
    ),
    note,
  )
