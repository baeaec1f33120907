"""Checkpoints run as in an evaluation."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import params_dict
from dataloader import input_reader
from modeling import factory
from serving.predictors import checkpoint
from tests import record_factory, tiny_export
from utils import errors, mode_keys

_SIZES = ((48, 64), (90, 30), (20, 33))


@pytest.fixture(scope='module')
def predictor(model):
  return checkpoint.CheckpointPredictor(model.directory, model.params)


def _images():
  return [record_factory.pixels(*s, seed=i) for i, s in enumerate(_SIZES)]


def _as_evaluated(model, directory):
  """Boxes in pixels, classes and scores by image, by the input pipeline."""
  records = record_factory.write_records(
    directory / 'set.tfrecord',
    [
      record_factory.make_record(
        source_id=str(i).encode(), encoded=record_factory.encode(image)
      )
      for i, image in enumerate(_images())
    ],
  )
  with tf.Graph().as_default(), tf.Session() as session:
    dataset = input_reader.InputFn(
      records, model.params, mode_keys.PREDICT_WITH_GT, 'tfrecord'
    )({'batch_size': len(_SIZES)})
    features = tf.data.make_one_shot_iterator(dataset).get_next()
    outputs = factory.model_generator(model.params).build_outputs(
      features['images'], features['labels'], mode_keys.PREDICT_WITH_GT
    )
    tf.train.Saver(tf.global_variables()).restore(session, model.checkpoint)
    return session.run(
      [outputs, features['labels']['image_info'], features['labels']]
    )


def test_agrees_with_the_evaluation(model, predictor, tmp_path):
  outputs, image_info, labels = _as_evaluated(model, tmp_path)
  order = labels['groundtruths']['source_id'].tolist()
  found = predictor.predict(_images())
  assert sorted(order) == [0, 1, 2]
  for row, i in enumerate(order):
    count = outputs['num_detections'][row]
    assert count > 2
    # Scales are (y, x); the second image is narrow, the third is enlarged.
    y, x = image_info[row, 2]
    np.testing.assert_allclose(
      found[i].boxes,
      outputs['detection_boxes'][row, :count] / [y, x, y, x],
      atol=1e-3,
    )
    np.testing.assert_array_equal(
      found[i].classes, outputs['detection_classes'][row, :count]
    )
    np.testing.assert_allclose(
      found[i].scores, outputs['detection_scores'][row, :count], atol=1e-5
    )


def test_any_number_of_images_each_by_itself(predictor):
  images = (_images() * 4)[:10]
  together = predictor.predict(images)
  assert predictor.predict([]) == []
  assert len(together) == 10
  for i, image in enumerate(images[:3]):
    (alone,) = predictor.predict([image])
    for same in together[i::3]:
      np.testing.assert_allclose(same.boxes, alone.boxes, atol=1e-3)
      np.testing.assert_array_equal(same.classes, alone.classes)
  assert together[0].boxes.dtype == np.float32
  assert together[0].classes.dtype == np.int32
  assert together[0].scores.dtype == np.float32


def test_other_size_is_padded(model):
  smaller = checkpoint.CheckpointPredictor(
    model.checkpoint, model.params, [40, 70]
  )
  (found,) = smaller.predict([record_factory.pixels(80, 140)])
  assert smaller.image_size == (40, 70)
  # Found in half the size, boxes fill the image and do not leave it.
  assert 70 < found.boxes[:, 2].max() <= 78
  assert 100 < found.boxes[:, 3].max() <= 138


def test_label_map_of_another_folder_is_missed_aloud(model, caplog):
  params = params_dict.ParamsDict(model.params)
  params.override({'eval': {'label_map_file': 'records/labels.txt'}})
  other = checkpoint.CheckpointPredictor(model.checkpoint, params)
  assert other.label_map is None
  assert 'eval.label_map_file: records/labels.txt: the label' in caplog.text


def test_how_a_config_exports_and_trains_does_not_matter(
  model, predictor, tmp_path
):
  labels = tmp_path / 'labels.txt'
  labels.write_text('1:cell\n2:platelet\n')
  params = params_dict.ParamsDict(model.params)
  params.override(
    {
      'architecture': {'use_bfloat16': True},
      'postprocess': {'apply_nms': False},
      'eval': {'label_map_file': str(labels)},
    }
  )
  other = checkpoint.CheckpointPredictor(model.checkpoint, params)
  (expected,), (found,) = (p.predict(_images()[:1]) for p in (predictor, other))
  np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-4)
  assert other.label_map == {1: 'cell', 2: 'platelet'}
  assert predictor.label_map is None
  # What was passed stays as it was.
  assert params.architecture.use_bfloat16
  assert not params.postprocess.apply_nms


@pytest.mark.parametrize(
  'image, named',
  [
    (np.zeros([4, 4], np.uint8), '[4, 4]'),
    (np.zeros([4, 4, 4], np.uint8), '[4, 4, 4]'),
    (np.zeros([4, 4, 3], np.float32), 'float32'),
    (np.zeros([0, 4, 3], np.uint8), '[0, 4, 3]'),
    ([[[1, 2, 3]]], 'list'),
  ],
)
def test_what_is_no_image(predictor, image, named):
  with pytest.raises(errors.DataError) as raised:
    predictor.predict([_images()[0], image])
  assert named in str(raised.value)


def test_checkpoint_of_another_architecture(model):
  params = tiny_export.resolve({'fpn': {'fpn_feat_dims': 16}})
  with pytest.raises(errors.UserError, match='another architecture'):
    checkpoint.CheckpointPredictor(model.checkpoint, params)
  with pytest.raises(errors.UserError, match='does not exist'):
    checkpoint.CheckpointPredictor(model.checkpoint + '0', model.params)
