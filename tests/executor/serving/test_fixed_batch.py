"""A model of a fixed batch size, fed with numbers."""

import numpy as np
import requests

from executor import predictors
from tests import record_factory
from tests.executor.serving import serving_run


def test_a_fixed_batch_is_filled_up(tmp_path):
  trained = serving_run.write_checkpoint(tmp_path)
  model = serving_run.export(
    tmp_path / 'tensor' / '12',
    trained[0],
    input_type='image_tensor',
    batch_size=3,
    input_name='img',
  )
  images = [record_factory.pixels(64, 64, seed=i) for i in range(5)]
  expected = predictors.from_checkpoint(*trained).predict(images)
  # The directory of versions.
  with serving_run.serving(str(tmp_path / 'tensor'), tmp_path) as running:
    url = running.url + '/v1/models/tensor/versions/12:predict'
    predictions = requests.post(
      url, json={'instances': [{'img': i.tolist()} for i in images]}
    ).json()['predictions']
    refused = requests.post(url, json={'inputs': images[0].tolist()})
  assert model.endswith('12')
  assert len(predictions) == 5
  for prediction, detections in zip(predictions, expected):
    count = prediction['num_detections']
    assert count == len(detections.scores)
    np.testing.assert_allclose(
      prediction['detection_scores'][:count], detections.scores, atol=1e-3
    )
  assert refused.status_code == 400
  assert 'shape [64, 64, 3]' in refused.json()['error']
