"""Network, loss and metrics of semantic segmentation."""

import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory as config_factory
from configs import params_dict
from modeling import factory
from modeling.architecture import pyramid_fusion
from tests import golden_numbers
from utils import errors, mode_keys


def _params(**changes):
  override = {
    'type': 'segmentation',
    'architecture': {'num_classes': 5},
    'resnet': {'resnet_depth': 18},
    'fpn': {'fpn_feat_dims': 64},
  }
  for block, values in changes.items():
    override.setdefault(block, {}).update(values)
  return golden_numbers.make_params(override)


def test_golden_outputs_and_loss():
  params = _params(
    segmentation_loss={
      'label_smoothing': 0.1,
      'class_weights': [1.0, 2.0, 0.5, 1.0, 3.0],
    }
  )
  random = np.random.RandomState(54)
  images = random.standard_normal((2, 128, 128, 3)).astype(np.float32)
  masks = random.randint(0, 5, (2, 16, 16, 1)).repeat(8, 1).repeat(8, 2)
  masks = masks.astype(np.float32)
  masks[random.uniform(size=masks.shape) < 0.1] = 255
  want = golden_numbers.expected('outputs_segmentation_r18.npz')
  with tf.Graph().as_default(), golden_numbers.make_session() as session:
    model = factory.model_generator(params)
    labels = {'masks': tf.constant(masks)}
    outputs = model.build_outputs(tf.constant(images), None, mode_keys.TRAIN)
    found = model.build_losses(outputs, labels)
    golden_numbers.load_weights(session)
    logits, loss = session.run([outputs['logits'], found['model_loss']])
  assert golden_numbers.relative_error(want['logits'], logits) < 1e-4
  assert loss == pytest.approx(want['loss/model_loss'], rel=1e-4)


@pytest.mark.parametrize('level, size', [(2, 32), (4, 8), (6, 2)])
def test_fusion_adds_up_at_any_level(level, size):
  maps = {3: np.full([1, 16, 16, 2], 1.0), 4: np.full([1, 8, 8, 2], 2.0)}
  maps[5] = np.full([1, 4, 4, 2], 4.0)
  with tf.Graph().as_default(), tf.Session() as session:
    fused = pyramid_fusion.fuse(
      {k: tf.constant(v, tf.float32) for k, v in maps.items()}, level
    )
    fused = session.run(fused)
  np.testing.assert_allclose(fused.pop(level), np.full([1, size, size, 2], 7))
  assert all((fused[k] == maps[k]).all() for k in fused)


def _loss(logits, masks, **settings):
  model = factory.model_generator(_params(segmentation_loss=settings))
  with tf.Graph().as_default(), tf.Session() as session:
    loss = model.build_losses(
      {'logits': tf.constant(logits)}, {'masks': tf.constant(masks)}
    )
    return session.run(loss['model_loss'])


def test_labels_shrink_to_the_logits_as_nearest_neighbours():
  logits = np.random.RandomState(0).randn(1, 2, 3, 5).astype(np.float32)
  masks = np.float32([[0, 0, 4, 4, 2, 2, 2]] * 2 + [[255] * 7] * 3)
  masks[2:, :2] = 3
  # Rows 0 and floor(1 * 5/2), columns 0, floor(7/3) and floor(14/3).
  labels = np.array([[0, 4, 2], [3, 255, 255]])
  log_softmax = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
  wanted = -np.mean(
    [log_softmax[0, y, x, labels[y, x]] for y, x in np.argwhere(labels < 5)]
  )
  found = _loss(logits, masks[None, ..., None], use_groundtruth_dimension=False)
  assert found == pytest.approx(wanted, rel=1e-5)


def test_a_batch_without_a_pixel_that_counts_has_no_loss():
  nothing = np.full([2, 16, 16, 1], 255, np.float32)
  for is_used in (True, False):
    logits = np.random.RandomState(0).randn(2, 2, 2, 5).astype(np.float32)
    assert _loss(logits, nothing, use_groundtruth_dimension=is_used) == 0


def test_losses_of_parts_add_up():
  model = factory.model_generator(_params())
  random = np.random.RandomState(0)
  masks = random.randint(0, 5, (4, 8, 8, 1)).astype(np.float32)
  masks[0, :6] = 255
  with tf.Graph().as_default(), tf.Session() as session:
    logits = tf.constant(random.randn(4, 2, 2, 5), tf.float32)
    count, logged = model.loss_normalizer({'masks': tf.constant(masks)})
    parts = [
      model.normalized_losses(
        {'logits': logits[i : i + 1]},
        {'masks': tf.constant(masks[i : i + 1])},
        count,
      )['model_loss']
      for i in range(4)
    ]
    whole = model.build_losses(
      {'logits': logits}, {'masks': tf.constant(masks)}
    )
    parts, whole = session.run([parts, whole['model_loss']])
  assert model.losses_add_up and logged == {}
  assert sum(parts) == pytest.approx(whole, rel=1e-5)


def test_metrics_of_several_batches():
  model = factory.model_generator(_params())
  masks = np.zeros([2, 2, 4, 1], np.float32)
  masks[0, 0, :, 0] = [1, 1, 255, 255]
  masks[1, 0, :, 0] = [2, 255, 255, 255]
  predicted = np.zeros([2, 2, 4], np.int32)
  predicted[0, 0] = [1, 0, 3, 3]
  predicted[1, 0] = [4, 1, 1, 1]
  with tf.Graph().as_default(), tf.Session() as session:
    logits, labels = (tf.placeholder(tf.float32, [1, 2, 4, n]) for n in (5, 1))
    make, tensors = model.eval_metrics({'logits': logits}, {'masks': labels})
    metrics = make(*tensors)
    session.run(tf.local_variables_initializer())
    for i in range(2):
      feed = {logits: np.eye(5)[predicted[i : i + 1]], labels: masks[i : i + 1]}
      session.run([update for _, update in metrics.values()], feed)
    values = session.run({name: value for name, (value, _) in metrics.items()})
  # Class 0: 8 right, 1 too many; class 3 is taken for ignored pixels alone.
  assert values == {
    'miou': pytest.approx((8 / 9 + 1 / 2 + 0 + 0) / 4),
    'eval/iou_class_0': pytest.approx(8 / 9),
    'eval/iou_class_1': pytest.approx(1 / 2),
    'eval/iou_class_2': 0,
    'eval/iou_class_3': -1,
    'eval/iou_class_4': -1,
  }


@pytest.mark.parametrize(
  'block, values, reason',
  [
    ('segmentation_loss', {'ignore_label': 0}, 'ignore_label == segmentation_'),
    ('segmentation_loss', {'class_weights': [1, 2]}, '2 weights for 5 classes'),
    ('segmentation_head', {'level': 2}, 'level: 2 is not among the levels 3'),
    ('segmentation_parser', {'output_size': [128, 80]}, 'multiple of 32'),
    ('segmentation_parser', {'aug_policy': 'v0'}, 'policies move no label map'),
    ('architecture', {'num_classes': 257}, 'use at most 256'),
  ],
)
def test_settings_that_cannot_work(block, values, reason):
  params = _params()
  config_factory.check(params)
  with pytest.raises(errors.ConfigError, match=reason):
    config_factory.check(
      params_dict.override_params_dict(
        params, json.dumps({block: values}), is_strict=True
      )
    )
