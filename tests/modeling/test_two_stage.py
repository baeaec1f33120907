"""Two-stage detectors: golden numbers of networks, targets and losses."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import params_dict, presets
from executor import evaluation
from modeling import factory, model_builder
from tests import golden_numbers, two_stage_batch
from tests.two_stage_batch import BATCH_NORM_HEADS, CASCADE, LOW_IOU, SMALL
from utils import errors, mode_keys

_CASCADE_TYPE = {'type': 'cascade_mask_rcnn'}
_SLOW_RATES = {
  'train': {
    'learning_rate': {
      'init_learning_rate': 0.0001,
      'warmup_learning_rate': 2e-05,
      'warmup_steps': 4,
    }
  }
}
_FILTERED = {
  'roi_proposal': {
    'test_rpn_score_threshold': 0.3,
    'test_rpn_min_size_threshold': 6.0,
  },
  'postprocess': {'nms_version': 'batched'},
}


def _build(params, size):
  """A network in prediction, and its placeholder of images."""
  images = tf.placeholder(tf.float32, [None, *size, 3])
  info = tf.constant([[size, size, [1, 1], [0, 0]]], tf.float32)
  info = tf.tile(info, [tf.shape(images)[0], 1, 1])
  model = factory.model_generator(params)
  outputs = model.build_outputs(images, {'image_info': info}, mode_keys.PREDICT)
  return model, images, outputs


def _check(want, got, tolerance):
  """Compares outputs; of large ones a sample at fixed places was kept."""
  for key, value in golden_numbers.flatten(got).items():
    if key + '@sample' in want:
      places = np.random.RandomState(3).choice(value.size, 20000, replace=False)
      value, key = value.reshape(-1)[np.sort(places)], key + '@sample'
    error = golden_numbers.relative_error(want[key], value)
    assert error < tolerance, (key, error)


@pytest.mark.parametrize(
  'name, size, override',
  [
    (
      'maskrcnn_r18_bn_heads',
      (96, 160),
      two_stage_batch.merged(SMALL, BATCH_NORM_HEADS, _FILTERED),
    ),
    pytest.param(
      'cascade_r18_one_stage',
      (128, 128),
      two_stage_batch.merged(SMALL, _CASCADE_TYPE),
      marks=pytest.mark.slow,
    ),
  ],
)
def test_golden_network(name, size, override):
  with tf.Graph().as_default(), golden_numbers.make_session() as session:
    model, images, outputs = _build(golden_numbers.make_params(override), size)
    trainable = {v.op.name for v in tf.trainable_variables()}
    variables = [
      [v.op.name, v.shape.as_list(), v.op.name in trainable]
      for v in tf.global_variables()
    ]
    assert sorted(variables) == sorted(golden_numbers.expected(name + '.json'))
    golden_numbers.load_weights(session)
    values = np.random.RandomState(7).standard_normal((1, *size, 3))
    got = session.run(outputs, {images: values})
  want = golden_numbers.expected(name + '.npz')
  # Elsewhere the original detects boxes without area.
  kept = {k: v for k, v in got.items() if k in want or isinstance(v, dict)}
  assert set(want) <= set(golden_numbers.flatten(kept))
  _check(want, kept, 2e-4)
  assert set(model.served_outputs) <= set(got)
  masks = got['detection_masks']
  assert masks.shape == (1, 20, 28, 28)
  assert masks.min() >= 0 and masks.max() <= 1


OUTPUTS = [
  (
    'outputs_maskrcnn_r18',
    two_stage_batch.merged(SMALL, {'roi_sampling': LOW_IOU}),
    ([3, 8], (128, 112), 21),
    4e-3,
  ),
  (
    'outputs_fasterrcnn_r18_bn',
    two_stage_batch.merged(
      SMALL, BATCH_NORM_HEADS, {'architecture': {'include_mask': False}}
    ),
    ([0, 5, 2], None, 22),
    5e-3,
  ),
  (
    'outputs_cascade_r18',
    two_stage_batch.merged(
      SMALL, _CASCADE_TYPE, {'roi_sampling': {**LOW_IOU, **CASCADE}}
    ),
    ([6, 4], None, 23),
    2e-3,
  ),
]


@pytest.mark.parametrize('name, override, batch, tolerance', OUTPUTS)
@pytest.mark.slow
def test_golden_targets_and_losses(name, override, batch, tolerance):
  objects, desired, seed = batch
  params = golden_numbers.make_params(override)
  with tf.Graph().as_default(), golden_numbers.make_session() as session:
    images, labels = two_stage_batch.make(
      params, (128, 128), objects, desired, seed
    )
    model = factory.model_generator(params)
    outputs = model.build_outputs(images, labels, mode_keys.TRAIN)
    losses = model.build_losses(outputs, labels)
    golden_numbers.load_weights(session)
    got, losses = session.run([outputs, losses])
  want = golden_numbers.expected(name + '.npz')
  names = {key.split('@')[0] for key in want}
  assert names == set(golden_numbers.flatten({**got, 'loss': losses}))
  assert set(model.watched_losses) <= set(losses)
  _check(want, got, tolerance)
  _check(want, {'loss': losses}, 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
  'name, override, objects, seed',
  [
    (
      'train_maskrcnn_r18',
      two_stage_batch.merged(SMALL, _SLOW_RATES, {'roi_sampling': LOW_IOU}),
      [3, 8, 1, 5],
      24,
    ),
    (
      'train_cascade_r18_bn',
      two_stage_batch.merged(
        SMALL,
        _CASCADE_TYPE,
        BATCH_NORM_HEADS,
        _SLOW_RATES,
        {'roi_sampling': {**LOW_IOU, **CASCADE}},
      ),
      [4, 2, 7, 3],
      25,
    ),
  ],
)
def test_golden_training(name, override, objects, seed):
  params = golden_numbers.make_params(override)
  with tf.Graph().as_default(), golden_numbers.make_session() as session:
    images, labels = two_stage_batch.make(
      params, (160, 160), objects, seed=seed
    )
    spec = model_builder.ModelFn(params)(
      images, labels, tf.estimator.ModeKeys.TRAIN
    )
    golden_numbers.load_weights(session)
    losses = [session.run([spec.loss, spec.train_op])[0] for _ in range(3)]
    variables = {v.op.name: v for v in tf.global_variables()}
    want = golden_numbers.expected(name + '.npz')
    norms = {
      key: np.linalg.norm(value.astype(np.float64))
      for key, value in session.run(
        {key: variables[key] for key in want['names']}
      ).items()
    }
  assert golden_numbers.relative_error(want['losses'], losses) < 1e-4
  largest = want['norms'].max()
  for key, norm in zip(want['names'], want['norms']):
    assert abs(norms[key] - norm) < 0.07 * max(norm, 1e-4 * largest), key


@pytest.mark.slow
def test_seed_repeats_a_step():
  params = golden_numbers.make_params(SMALL)
  drawn = []
  for num_threads in (1, 4):
    config = tf.ConfigProto(
      intra_op_parallelism_threads=num_threads,
      inter_op_parallelism_threads=num_threads,
    )
    with tf.Graph().as_default(), tf.Session(config=config) as session:
      tf.set_random_seed(3)
      images, labels = two_stage_batch.make(params, (64, 64), [2])
      outputs = factory.model_generator(params).build_outputs(
        images, labels, mode_keys.TRAIN
      )
      golden_numbers.load_weights(session)
      drawn.append(session.run(outputs['class_targets']))
  np.testing.assert_array_equal(*drawn)


_R18 = {'type': 'mask_rcnn', 'resnet': {'resnet_depth': 18}}
_SMALL_HEAD = {
  'architecture': {'num_classes': 5},
  'frcnn_head': {'fc_dims': 64},
}


def _preset(name):
  (preset,) = presets.find_presets([name])
  return params_dict.read_yaml_to_params_dict(preset.path).as_dict()


@pytest.mark.slow
@pytest.mark.parametrize(
  'override, counts',
  [
    ({}, (329, 213, 45047153)),
    ({'architecture': {'include_mask': False}}, (317, 201, 42401046)),
    (
      two_stage_batch.merged(
        _R18,
        _SMALL_HEAD,
        BATCH_NORM_HEADS,
        {'mrcnn_head': {'num_convs': 2}},
      ),
      (233, 149, 15795341),
    ),
    (
      two_stage_batch.merged(
        _R18,
        _SMALL_HEAD,
        {
          'rpn_head': {'use_separable_conv': True},
          'frcnn_head': {'use_separable_conv': True, 'num_convs': 1},
          'mrcnn_head': {
            'use_separable_conv': True,
            'num_convs': 1,
            'class_agnostic_mask_pred': True,
          },
        },
      ),
      (171, 119, 15660713),
    ),
    (
      {
        'architecture': {
          'multilevel_features': 'nasfpn',
          'min_level': 3,
          'max_level': 7,
        }
      },
      (519, 337, 62700657),
    ),
    ({**_CASCADE_TYPE, 'roi_sampling': CASCADE}, (345, 229, 73771263)),
    (
      two_stage_batch.merged(_R18, _SMALL_HEAD, _CASCADE_TYPE),
      (169, 117, 18407085),
    ),
    (
      two_stage_batch.merged(
        _R18,
        _SMALL_HEAD,
        _CASCADE_TYPE,
        {
          'roi_sampling': CASCADE,
          'frcnn_head': {
            'num_convs': 1,
            'use_batch_norm': True,
            'class_agnostic_bbox_pred': True,
          },
        },
      ),
      (227, 157, 21793839),
    ),
    (_preset('spinenet49_mrcnn'), (742, 452, 40753521)),
    (_preset('spinenet49s_mrcnn'), (742, 452, 13946608)),
  ],
  ids=lambda value: '',
)
def test_published_sizes(override, counts):
  params = golden_numbers.make_params({'type': 'mask_rcnn', **override})
  with tf.Graph().as_default():
    # Any number of images.
    _build(params, (128, 128))
    trained = tf.trainable_variables()
    sizes = [variable.shape.num_elements() for variable in trained]
    assert (len(tf.global_variables()), len(trained), sum(sizes)) == counts


@pytest.mark.slow
@pytest.mark.parametrize(
  'override',
  [
    # Of the fourth stage the weights are four times those of the first.
    {
      **_CASCADE_TYPE,
      'roi_sampling': {'cascade_iou_thresholds': [0.5, 0.6, 0.7]},
      'frcnn_head': {'cascade_class_ensemble': True},
      'architecture': {'mask_target_size': 14},
    },
    {'frcnn_head': {'class_agnostic_bbox_pred': True}},
  ],
  ids=['four stages', 'one box for all classes'],
)
def test_networks_of_other_forms_train_and_detect(override):
  override = two_stage_batch.merged(SMALL, override)
  params = golden_numbers.make_params(override)
  with tf.Graph().as_default(), golden_numbers.make_session() as session:
    images, labels = two_stage_batch.make(params, (64, 64), [0, 2])
    spec = model_builder.ModelFn(params)(
      images, labels, tf.estimator.ModeKeys.TRAIN
    )
    session.run(tf.global_variables_initializer())
    assert np.isfinite(session.run([spec.train_op, spec.loss])[1])
  with tf.Graph().as_default(), golden_numbers.make_session() as session:
    _, images, outputs = _build(params, (64, 64))
    session.run(tf.global_variables_initializer())
    got = session.run(outputs, {images: np.zeros([2, 64, 64, 3])})
  size = params.architecture.mask_target_size
  assert got['detection_masks'].shape == (2, 20, size, size)


def test_without_suppression_there_is_no_model():
  params = golden_numbers.make_params(
    {'type': 'mask_rcnn', 'postprocess': {'apply_nms': False}}
  )
  with pytest.raises(errors.ConfigError, match='postprocess.apply_nms: false'):
    factory.model_generator(params)


def test_losses_alone_cannot_be_evaluated():
  params = golden_numbers.make_params(
    {'type': 'mask_rcnn', 'eval': {'type': 'customized'}}
  )
  evaluation.check_settings(params, evaluates=False)
  with pytest.raises(errors.ConfigError, match="Use 'box_and_mask' or 'box'"):
    evaluation.check_settings(params, evaluates=True)


def test_masks_cannot_be_scored_without_masks():
  params = golden_numbers.make_params(
    {'type': 'mask_rcnn', 'architecture': {'include_mask': False}}
  )
  with pytest.raises(errors.ConfigError, match='scores detection_masks'):
    evaluation.check_settings(params, evaluates=True)
