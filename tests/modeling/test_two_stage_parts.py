"""Stages of a cascade, and precision, of two-stage detectors."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import factory, two_stage
from modeling.architecture import layer_kit
from modeling.architecture.heads import rpn_head
from tests import golden_numbers, two_stage_batch
from utils import mode_keys

# Of four stages.
_WEIGHTS = [
  (10, 10, 5, 5),
  (20, 20, 10, 10),
  (30, 30, 15, 15),
  (40, 40, 20, 20),
]
_NUM_CLASSES = 5
# Of two RoIs in each stage: which class has the largest logit.
_BEST = [[1, 0], [2, 4], [0, 3], [3, 1]]
_ROIS = np.float32([[[10, 10, 29, 29], [5, 20, 14, 49]]])


def _stage_outputs(is_agnostic):
  """Logits, and boxes that move by a tenth of their height and no more."""
  logits = np.random.RandomState(0).uniform(0, 1, [4, 1, 2, _NUM_CLASSES])
  encoded = np.zeros([4, 1, 2, 1 if is_agnostic else _NUM_CLASSES, 4])
  for stage, best in enumerate(_BEST):
    for roi, class_id in enumerate(best):
      logits[stage, 0, roi, class_id] += 2.0
      column = 0 if is_agnostic else class_id
      encoded[stage, 0, roi, column, 0] = 0.1 * _WEIGHTS[stage][0]
  return np.float32(logits), np.float32(encoded.reshape([4, 1, 2, -1]))


def _detected(monkeypatch, head, is_agnostic):
  """What a cascade gives its generator of detections, and its outputs.

  Backbone, proposals and box heads are stand-ins; the rest is of the config.
  """
  params = golden_numbers.make_params(
    two_stage_batch.merged(
      two_stage_batch.SMALL,
      {
        'type': 'cascade_mask_rcnn',
        'architecture': {'include_mask': False},
        'roi_sampling': {'cascade_iou_thresholds': [0.5, 0.6, 0.7]},
        'frcnn_head': {'class_agnostic_bbox_pred': is_agnostic, **head},
      },
    )
  )
  logits, encoded = _stage_outputs(is_agnostic)
  given = []

  def box_head(crops, is_training):
    assert crops.shape.as_list() == [1, 2, 7, 7, 3] and not is_training
    stage = int(tf.get_variable_scope().name.replace('frcnn_layer_', ''))
    return tf.constant(logits[stage]), tf.constant(encoded[stage])

  def detect(*args):
    given.extend(args)
    return {}

  stand_ins = {
    'backbone': lambda images, is_training: {2: images},
    'neck': lambda features, is_training: features,
    'rpn': lambda features, is_training: ({}, {}),
    'propose': lambda *args: (tf.constant(_ROIS), None),
    'box_head': box_head,
    'detect': detect,
  }
  make = two_stage.TwoStageModel
  monkeypatch.setattr(
    two_stage, 'TwoStageModel', lambda **kwargs: make(**{**kwargs, **stand_ins})
  )
  with tf.Graph().as_default(), tf.Session() as session:
    info = tf.constant([[[64, 64], [64, 64], [1, 1], [0, 0]]], tf.float32)
    outputs = factory.model_generator(params).build_outputs(
      tf.zeros([1, 64, 64, 3]), {'image_info': info}, mode_keys.PREDICT
    )
    tensors, settings = given[:4], given[4:]
    return session.run([tensors, outputs]), settings


@pytest.mark.parametrize(
  'averages, is_agnostic', [(True, False), (False, True)]
)
def test_stages_refine_and_may_vote(monkeypatch, averages, is_agnostic):
  logits, encoded = _stage_outputs(is_agnostic)
  (tensors, outputs), settings = _detected(
    monkeypatch, {'cascade_class_ensemble': averages}, is_agnostic
  )
  for stage in range(4):
    np.testing.assert_array_equal(
      outputs[f'class_outputs_{stage}'], logits[stage]
    )
  got_encoded, got_logits, got_rois, got_shape = tensors
  np.testing.assert_array_equal(got_encoded, encoded[3])
  np.testing.assert_allclose(
    got_logits, logits.mean(0) if averages else logits[3], rtol=1e-6
  )
  # Three times, each by a tenth of 20 and of 10 pixels.
  moved = _ROIS + np.float32([[[6, 0, 6, 0], [3, 0, 3, 0]]])
  np.testing.assert_allclose(got_rois, moved, atol=1e-4)
  np.testing.assert_array_equal(got_shape, [[[64, 64]]])
  assert settings == [_WEIGHTS[3], not is_agnostic]


def test_scores_of_anchors_may_be_float32_under_bfloat16():
  layers = layer_kit.from_params(golden_numbers.make_params())
  maps = np.random.RandomState(0).standard_normal([1, 4, 4, 8])
  got = {}
  for casts in (False, True):
    head = rpn_head.RpnHead(
      3, layers, num_convs=0, use_batch_norm=True, cast_to_float32=casts
    )
    with tf.Graph().as_default(), golden_numbers.make_session() as session:
      features = tf.cast(tf.constant(maps), tf.bfloat16)
      with tf.tpu.bfloat16_scope():
        outputs = [values[3] for values in head({3: features}, False)]
      dtype = tf.float32 if casts else tf.bfloat16
      assert [value.dtype for value in outputs] == [dtype] * 2
      golden_numbers.load_weights(session)
      got[casts] = session.run(
        [tf.cast(value, tf.float32) for value in outputs]
      )
      rounded = session.run(tf.cast(features, tf.float32))
  for index, (name, channels) in enumerate((('class', 3), ('box', 12))):
    layer = f'rpn_head/rpn-{name}/'
    kernel = golden_numbers.weight(layer + 'kernel', (1, 1, 8, channels))
    bias = golden_numbers.weight(layer + 'bias', (channels,))
    want = rounded @ kernel[0, 0] + bias
    errors = [np.abs(got[casts][index] - want).max() for casts in (0, 1)]
    assert errors[1] < 1e-5 < 1e-3 < errors[0] < 5e-2


@pytest.mark.slow
def test_bfloat16_predicts_close_to_float32():
  got = []
  for use_bfloat16 in (False, True):
    params = golden_numbers.make_params(
      two_stage_batch.merged(
        two_stage_batch.SMALL,
        {
          'resnet': {'resnet_depth': 10},
          'architecture': {'use_bfloat16': use_bfloat16},
          # Every anchor's box is a RoI.
          'roi_proposal': {
            'test_rpn_pre_nms_top_k': 255,
            'test_rpn_post_nms_top_k': 255,
            'test_rpn_nms_threshold': 0.0,
          },
          'postprocess': {'score_threshold': 0.0},
        },
      )
    )
    with tf.Graph().as_default(), golden_numbers.make_session() as session:
      images, labels = two_stage_batch.make(params, (32, 32), [1])
      outputs = factory.model_generator(params).build_outputs(
        images, labels, mode_keys.PREDICT
      )
      dtypes = {value.dtype for value in tf.nest.flatten(outputs)}
      assert dtypes == {tf.float32, tf.int32}
      golden_numbers.load_weights(session)
      got.append(golden_numbers.flatten(session.run(outputs)))
  want, got = got
  assert set(want) == set(got)
  for key, value in got.items():
    assert np.isfinite(value).all() and value.shape == want[key].shape, key
    if key.startswith('rpn_'):
      error = golden_numbers.relative_error(want[key], value)
      assert error < 0.1, (key, error)
    if key in ('class_outputs', 'detection_scores'):
      # Their order depends on the last bits.
      error = golden_numbers.relative_error(
        np.sort(want[key], axis=1), np.sort(value, axis=1)
      )
      assert error < 0.1, (key, error)
