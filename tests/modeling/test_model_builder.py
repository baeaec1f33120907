"""The model function: what is trained, decayed, averaged and predicted."""

import json
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import model_builder
from modeling.training import moving_normalizer
from tests import golden_numbers
from utils import errors

_MODES = tf.estimator.ModeKeys
_SMALL = {
  'resnet': {'resnet_depth': 10},
  'fpn': {'fpn_feat_dims': 8},
  'retinanet_head': {'num_convs': 1, 'num_filters': 8},
  'architecture': {'num_classes': 3, 'min_level': 3, 'max_level': 5},
}
_SIZE = 64


def _params(*overrides):
  params = golden_numbers.make_params(_SMALL)
  for override in overrides:
    params.override(override)
  return params


def _images(batch=2):
  rng = np.random.RandomState(0)
  return tf.constant(rng.randn(batch, _SIZE, _SIZE, 3).astype(np.float32))


def _labels(batch=2, with_groundtruth=False):
  """One positive anchor in each image."""
  class_targets, box_targets = {}, {}
  for level in (3, 4, 5):
    side = _SIZE >> level
    classes = np.full([batch, side, side, 9], -1, np.int32)
    boxes = np.zeros([batch, side, side, 36], np.float32)
    if level == 4:
      classes[:, 1, 1, 0] = 2
      boxes[:, 1, 1, :4] = 0.5
    class_targets[level] = tf.constant(classes)
    box_targets[level] = tf.constant(boxes)
  labels = {
    'cls_targets': class_targets,
    'box_targets': box_targets,
    'num_positives': tf.ones([batch]),
    'image_info': tf.constant(
      [[[_SIZE, _SIZE], [_SIZE, _SIZE], [1, 1], [0, 0]]] * batch, tf.float32
    ),
  }
  if with_groundtruth:
    labels['is_padding'] = tf.constant([False] * (batch - 1) + [True])
    labels['groundtruths'] = {
      'source_id': tf.range(batch, dtype=tf.int64),
      'boxes': tf.zeros([batch, 5, 4]),
      'num_detections': tf.ones([batch, 1], tf.int32),
    }
  return labels


def _train_spec(params, images=None, labels=None):
  tf.train.get_or_create_global_step()
  return model_builder.ModelFn(params)(
    _images() if images is None else images,
    labels or _labels(),
    _MODES.TRAIN,
  )


def _trained(params, steps=1):
  """Values of all trainable variables before and after some steps."""
  with tf.Graph().as_default(), tf.Session() as session:
    spec = _train_spec(params)
    golden_numbers.load_weights(session)
    variables = {v.op.name: v for v in tf.trainable_variables()}
    before = session.run(variables)
    for _ in range(steps):
      _, norm = session.run([spec.train_op, 'gradient_norm:0'])
    return before, session.run(variables), norm


def test_frozen_variables_stay_and_others_move():
  before, after, _ = _trained(
    _params({'train': {'frozen_variable_prefix': r'resnet10\/conv2d\/'}})
  )
  same = {n for n in before if np.array_equal(before[n], after[n])}
  kernels = {name for name in before if name.endswith('kernel')}
  assert same & kernels == {'resnet10/conv2d/kernel'}


def test_freezing_everything_is_an_error():
  params = _params({'train': {'frozen_variable_prefix': ''}})
  with tf.Graph().as_default():
    with pytest.raises(errors.ConfigError, match='frozen_variable_prefix'):
      _train_spec(params)


@pytest.mark.parametrize(
  'key', ['frozen_variable_prefix', 'regularization_variable_regex']
)
def test_bad_regex_names_its_key(key):
  with tf.Graph().as_default():
    with pytest.raises(errors.ConfigError, match='train.' + key):
      _train_spec(_params({'train': {key: '('}}))


def test_l2_counts_trained_kernels_only():
  params = _params(
    {
      'train': {
        'l2_weight_decay': 0.5,
        'frozen_variable_prefix': r'(?!fpn\/p3-bn)',
        'regularization_variable_regex': r'.*gamma:0$',
      }
    }
  )
  with tf.Graph().as_default(), tf.Session() as session:
    spec = _train_spec(params)
    session.run(tf.global_variables_initializer())
    total = session.run(spec.loss)
    model_loss = session.run('total_loss:0')
    # Eight gammas of 1: 0.5 * (8 * 1 / 2).
    graph = tf.get_default_graph()
    l2 = graph.get_tensor_by_name('total_loss:0').op.inputs[1]
    assert session.run(l2) == pytest.approx(2.0)
  assert total == pytest.approx(model_loss)


@pytest.mark.parametrize(
  'clip_norm,num_parts',
  [(0.0, 1), (0.25, 1), pytest.param(0.0, 2, marks=pytest.mark.slow)],
)
def test_gradient_norm_and_clipping(clip_norm, num_parts):
  override = {
    'gradient_clip_norm': clip_norm,
    'gradient_accumulation_steps': num_parts,
    'l2_weight_decay': 0.0,
    'learning_rate': {'warmup_steps': 0, 'init_learning_rate': 1.0},
  }
  before, after, norm = _trained(_params({'train': override}))
  moved = np.sqrt(sum(np.sum(np.square(after[n] - before[n])) for n in before))
  # The norm is that before clipping.
  assert norm > 0.3
  assert moved == pytest.approx(clip_norm or norm, rel=1e-3)


@pytest.mark.parametrize(
  'block_size', [1, pytest.param(2, marks=pytest.mark.slow)]
)
def test_training_layouts_give_the_same_loss(block_size):
  plain = _params({'train': {'seed': 1}})
  changed = _params(
    {
      'train': {'transpose_input': True},
      'architecture': {'space_to_depth_block_size': block_size},
    }
  )
  losses = []
  for params in (plain, changed):
    with tf.Graph().as_default(), tf.Session() as session:
      images = _images()
      if params is changed:
        if block_size > 1:
          images = tf.nn.space_to_depth(images, block_size)
          images = tf.transpose(images, [1, 2, 0, 3])
        else:
          images = tf.transpose(images, [1, 2, 3, 0])
      spec = _train_spec(params, images)
      golden_numbers.load_weights(session)
      losses.append(session.run(spec.loss))
  assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.slow
def test_bfloat16_computes_close_and_keeps_float32_outside():
  losses = []
  for use_bfloat16 in (False, True):
    params = _params({'architecture': {'use_bfloat16': use_bfloat16}})
    with tf.Graph().as_default(), tf.Session() as session:
      spec = _train_spec(params)
      assert spec.loss.dtype == tf.float32
      assert {v.dtype.base_dtype for v in tf.trainable_variables()} == {
        tf.float32
      }
      golden_numbers.load_weights(session)
      losses.append(session.run(spec.loss))
  assert losses[0] != losses[1]
  assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_moving_normalizer_debiases():
  with tf.Graph().as_default(), tf.Session() as session:
    value = tf.placeholder(tf.float32, [])
    average = moving_normalizer.moving_normalizer(value, 0.9)
    assert not tf.trainable_variables()
    session.run(tf.global_variables_initializer())
    got = [session.run(average, {value: v}) for v in (10, 20, 5, 0)]
  np.testing.assert_allclose(
    got, [10.0, 15.263154, 11.476011, 8.138992], rtol=1e-6
  )


def test_evaluation_leaves_the_moving_normalizer_alone():
  params = _params({'retinanet_loss': {'normalizer_momentum': 0.9}})
  with tf.Graph().as_default():
    model_builder.ModelFn(params)(_images(), _labels(), _MODES.EVAL)
    names = [v.op.name for v in tf.global_variables()]
  assert not any('moving_normalizer' in name for name in names)


@pytest.mark.parametrize('skip', [False, True])
def test_evaluation_mode_gives_losses(skip):
  params = _params({'eval': {'skip_eval_loss': skip}})
  with tf.Graph().as_default(), tf.Session() as session:
    spec = model_builder.ModelFn(params)(_images(), _labels(), _MODES.EVAL)
    golden_numbers.load_weights(session)
    loss = session.run(spec.loss)
    metrics = set(spec.eval_metric_ops or {})
  assert (loss == 0.0) == skip
  assert metrics >= (set() if skip else {'cls_loss', 'box_loss', 'model_loss'})


@pytest.mark.parametrize('with_groundtruth', [False, True])
def test_predictions(with_groundtruth, tmp_path):
  params = _params({'model_dir': str(tmp_path / 'new')})
  with tf.Graph().as_default(), tf.Session() as session:
    features = {'images': _images(), 'labels': _labels(2, with_groundtruth)}
    spec = model_builder.ModelFn(params)(features, None, _MODES.PREDICT)
    golden_numbers.load_weights(session)
    got = session.run(spec.predictions)
  assert got['pred_detection_boxes'].shape == (2, 100, 4)
  assert got['pred_num_detections'].shape == (2,)
  assert all(len(value) == 2 for value in got.values())
  if with_groundtruth:
    assert got['gt_source_id'].tolist() == [0, 1]
    assert got['gt_is_padding'].tolist() == [False, True]
    total = got['loss_cls_loss'] + 50.0 * got['loss_box_loss']
    np.testing.assert_allclose(got['loss_model_loss'], total, rtol=1e-5)
  else:
    assert not any(key.startswith(('gt_', 'loss_')) for key in got)
  with open(os.path.join(str(tmp_path), 'new/predict_model_stats.json')) as f:
    assert json.load(f)['num_trainable_params_million'] > 1


def test_raw_outputs_cannot_be_evaluated():
  params = _params({'postprocess': {'apply_nms': False}})
  with tf.Graph().as_default():
    features = {'images': _images(), 'labels': _labels()}
    with pytest.raises(errors.ConfigError, match='postprocess.apply_nms'):
      model_builder.ModelFn(params)(features, None, _MODES.PREDICT)


def test_image_sides_have_to_fit_the_levels():
  with tf.Graph().as_default():
    features = {'images': tf.zeros([1, 64, 80, 3]), 'labels': _labels(1)}
    with pytest.raises(errors.ConfigError, match='64 x 80 .* of 32'):
      model_builder.ModelFn(_params())(features, None, _MODES.PREDICT)


def test_flat_fpn_features_are_a_node():
  params = _params({'architecture': {'output_flat_fpn_features': True}})
  with tf.Graph().as_default() as graph:
    features = {'images': _images(), 'labels': _labels()}
    model_builder.ModelFn(params)(features, None, _MODES.PREDICT)
    flat = graph.get_tensor_by_name('RawFpnFeatures:0')
  assert flat.shape.as_list() == [2, 8 * (64 + 16 + 4)]


def test_unknown_mode_and_model():
  with pytest.raises(errors.ConfigError, match='eval, infer, train'):
    model_builder.ModelFn(_params())(None, None, 'test')
  params = _params()
  params.override({'type': 'yolo'})
  with pytest.raises(errors.ConfigError, match='retinanet'):
    model_builder.ModelFn(params)(
      {'images': _images(), 'labels': _labels()}, None, _MODES.PREDICT
    )
