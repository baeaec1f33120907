"""Models of a fixed batch size, fed with numbers and with tf.Examples."""

import base64
import json

import numpy as np
import pytest

from serving.export import export
from serving.http import predict_json, served_model
from serving.predictors import checkpoint
from tests import record_factory


def _numbers(image):
  return image.tolist()


def _example(image):
  record = record_factory.make_record(encoded=record_factory.encode(image))
  return {'b64': base64.b64encode(record).decode('ascii')}


@pytest.mark.parametrize(
  'input_type, instance',
  [
    pytest.param('image_tensor', _numbers, marks=pytest.mark.slow),
    ('tf_example', _example),
  ],
)
def test_a_fixed_batch_is_filled_up(model, tmp_path, input_type, instance):
  directory = str(tmp_path / 'export')
  export.export(
    directory,
    model.checkpoint,
    image_size=(64, 64),
    input_type=input_type,
    batch_size=3,
    input_name='img',
    check=False,
  )
  images = [record_factory.pixels(64, 64, seed=i) for i in range(2)]
  expected = checkpoint.CheckpointPredictor(
    model.checkpoint, model.params
  ).predict(images)
  served = served_model.ServedModel(directory)
  body = {'instances': [{'img': instance(image)} for image in images]}
  parsed = predict_json.parse(json.dumps(body).encode(), served.input)
  answer = predict_json.format_answer(
    served.run(parsed.examples), parsed.is_by_row
  )
  predictions = json.loads(answer.decode())['predictions']
  assert len(predictions) == 2
  for prediction, detections in zip(predictions, expected):
    count = prediction['num_detections']
    assert count == len(detections.scores) > 2
    np.testing.assert_allclose(
      prediction['detection_scores'][:count], detections.scores, atol=1e-3
    )
