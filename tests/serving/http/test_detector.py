"""What the page of the server draws."""

import numpy as np

from serving.http import detector
from serving.predictors import predictor


def test_boxes_end_with_the_picture():
  image = np.zeros([40, 20, 3], np.uint8)
  detections = predictor.ImageDetections(
    np.float32([[1, 25, 9, 30], [2, 3, 50, 30.5]]),
    np.int32([1, 2]),
    np.float32([0.9, 0.4]),
  )
  (found,) = detector.to_json(image, detections, {2: 'cat'})['detections']
  assert found['box'] == [2, 3, 40, 20]
  assert (found['name'], found['score']) == ('cat', 0.4)
