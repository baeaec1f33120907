"""Models of a fixed batch size, fed with numbers and with tf.Examples."""

import numpy as np
import pytest
import requests
import tensorflow.compat.v1 as tf

from serving.predictors import checkpoint
from tests import record_factory
from tests.serving.http import serving_run


def _numbers(image):
  return image.tolist()


def _example(image):
  example = tf.train.Example()
  values = example.features.feature['image/encoded'].bytes_list.value
  values.append(record_factory.encode(image))
  return serving_run.encoded(example.SerializeToString())


@pytest.mark.parametrize(
  'input_type, instance, wrong, reason',
  [
    pytest.param(
      'image_tensor',
      _numbers,
      [[[1, 2, 3]]],
      'shape [64, 64, 3]',
      marks=pytest.mark.slow,
    ),
    ('tf_example', _example, {'b64': 'AP8K'}, 'image/encoded'),
  ],
)
def test_a_fixed_batch_is_filled_up(
  tmp_path, input_type, instance, wrong, reason
):
  trained = serving_run.write_checkpoint(tmp_path)
  model = serving_run.export(
    tmp_path / 'cells' / '12',
    trained[0],
    input_type=input_type,
    batch_size=3,
    input_name='img',
  )
  images = [record_factory.pixels(64, 64, seed=i) for i in range(5)]
  expected = checkpoint.CheckpointPredictor(*trained).predict(images)
  # The directory of versions.
  with serving_run.serving(str(tmp_path / 'cells'), tmp_path) as running:
    url = running.url + '/v1/models/cells/versions/12:predict'
    instances = [{'img': instance(image)} for image in images]
    predictions = requests.post(url, json={'instances': instances}).json()[
      'predictions'
    ]
    refused = requests.post(url, json={'inputs': [wrong]})
  assert model.endswith('12')
  assert len(predictions) == 5
  for prediction, detections in zip(predictions, expected):
    count = prediction['num_detections']
    assert count == len(detections.scores)
    np.testing.assert_allclose(
      prediction['detection_scores'][:count], detections.scores, atol=1e-3
    )
  assert refused.status_code == 400
  assert reason in refused.json()['error']
