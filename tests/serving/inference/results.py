"""Results, and a detector without a network, for tests."""

import numpy as np

from serving.inference import pipeline
from serving.predictors import predictor

LABEL_MAP = {1: 'cat', 2: 'dog <b>'}


def result(name='a.jpg', image_id=None, size=(40, 60), note=''):
  """An image with a cat of score 0.9 and a dog of score 0.4."""
  pixels = np.full(size + (3,), 200, np.uint8)
  return pipeline.Result(
    name,
    image_id,
    pixels,
    predictor.ImageDetections(
      np.array([[2, 3, 30, 40], [10.126, 20, 20, 50]], np.float32),
      np.array([1, 2], np.int32),
      np.array([0.9, 0.4], np.float32),
    ),
    note,
  )


def masked_result(name='a.jpg', image_id=None, size=(40, 60)):
  """As `result`; the masks are the left half and the whole of their boxes."""
  plain = result(name, image_id, size)
  masks = np.ones([2, 28, 28], np.float32)
  masks[0, :, 14:] = 0
  found = plain.detections
  return plain._replace(
    detections=found._replace(masks=masks, mask_boxes=found.boxes)
  )


class Brightness:
  """Finds one object, the whole image; its score is the mean of the pixels.

  An image of the value 13 all over gives numbers that are not finite.

  Attributes:
    batches: number of images of each call.
  """

  image_size = (32, 32)
  label_map = None

  def __init__(self, batch_size=None):
    self.batch_size = batch_size
    self.batches = []

  def predict(self, images):
    self.batches.append(len(images))
    return [self._predict(image) for image in images]

  def _predict(self, image):
    score = np.nan if (image == 13).all() else image.mean() / 255
    return predictor.ImageDetections(
      np.float32([[0, 0, image.shape[0], image.shape[1]]]),
      np.int32([1]),
      np.float32([score]),
    )
