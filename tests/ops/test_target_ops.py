"""RoIs that train: golden numbers, a NumPy model of what is drawn, seeds."""

import functools
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import target_ops
from tests import golden_boxes, golden_numbers
from utils import errors


def _params(**changes):
  params = {
    'num_samples_per_image': 24,
    'fg_fraction': 0.25,
    'fg_iou_thresh': 0.5,
    'bg_iou_thresh_hi': 0.5,
    'bg_iou_thresh_lo': 0.0,
    'mix_gt_boxes': True,
  }
  params.update(changes)
  return types.SimpleNamespace(**params)


def _inputs(num_rois, objects):
  """Every second RoI lies near an object, at all overlaps."""
  rng = np.random.RandomState(0)
  batch_size = len(objects)
  gt_boxes = -np.ones([batch_size, 8, 4], np.float32)
  gt_classes = -np.ones([batch_size, 8], np.int64)
  rois = np.stack(
    [golden_boxes.boxes_in(rng, num_rois, 128, 160) for _ in objects]
  )
  for i, count in enumerate(objects):
    gt_boxes[i, :count] = golden_boxes.boxes_in(rng, count, 128, 160)
    gt_classes[i, :count] = rng.randint(1, 5, count)
    for j in range(0, num_rois, 2):
      if count:
        rois[i, j] = gt_boxes[i, rng.randint(count)] + (
          rng.uniform(-1, 1, 4) * rng.uniform(0, 14)
        )
    rois[i, -1] = 0
  return rois, gt_boxes, gt_classes


def _sample(params, inputs, seed=None, num_threads=0):
  draw = tf.random_uniform
  if seed:
    draw = functools.partial(tf.random.stateless_uniform, seed=seed)
  config = tf.ConfigProto(
    intra_op_parallelism_threads=num_threads,
    inter_op_parallelism_threads=num_threads,
  )
  with tf.Graph().as_default(), tf.Session(config=config) as session:
    sampler = target_ops.ROISampler(params, draw)
    return session.run(sampler(*map(tf.constant, inputs)))


def test_golden_samples():
  want = golden_numbers.expected('roi_sample_all.npz')
  got = _sample(_params(num_samples_per_image=48), _inputs(40, [5, 2]))
  for key, value in zip(('rois', 'boxes', 'classes', 'indices'), got):
    assert golden_numbers.relative_error(want[key], value) < 1e-5, key


def test_golden_quota():
  want = golden_numbers.expected('roi_sample_quota.npz')
  rois, _, classes, indices = _sample(_params(), _inputs(60, [5, 2, 0]))
  assert list(rois.shape) == list(want['rows'])
  assert list((classes > 0).sum(1)) == list(want['foreground'])
  assert list(indices.min(1)) == list(want['index_least'])


def _unit_boxes(ious, classes=None):
  """RoIs with given IoUs with one object; -1: with none at all."""
  rois = [[0, 0, 10, max(iou, 0) * 10] for iou in ious]
  return (
    np.float32([rois]),
    np.float32([[[0, 0, 10, 10]]]),
    np.int64([[3]] if classes is None else classes),
  )


def test_short_of_negatives_more_positives_are_drawn():
  ious = [0.9] * 62 + [0.2] * 8
  params = _params(num_samples_per_image=32, mix_gt_boxes=False)
  rois, boxes, classes, indices = _sample(params, _unit_boxes(ious))
  assert (classes > 0).sum() == 24
  assert set(indices[0]) == {0}
  # Background keeps the box that it was matched to.
  np.testing.assert_allclose(boxes[0, -1], [0, 0, 10, 10])
  np.testing.assert_allclose(rois[0, -8:, 3], 2.0)


def test_neither_kind_fills_up_in_order_and_keeps_its_class():
  # Exactly at the threshold, and below the lower one.
  ious = [0.5, 0.05, 0.9, 0.5, 0.3]
  params = _params(
    num_samples_per_image=4, bg_iou_thresh_lo=0.1, mix_gt_boxes=False
  )
  rois, _, classes, _ = _sample(params, _unit_boxes(ious))
  assert sorted(rois[0, :, 3]) == pytest.approx([0.5, 3.0, 5.0, 9.0])
  assert dict(zip(rois[0, :, 3].tolist(), classes[0])) == {
    5.0: 3,
    0.5: 3,
    9.0: 3,
    3.0: 0,
  }


def test_an_image_without_objects_has_background_alone():
  rois, boxes, classes, indices = _sample(
    _params(num_samples_per_image=8), _inputs(20, [0, 2])
  )
  assert rois.shape == (2, 8, 4)
  assert not classes[0].any() and not boxes[0].any()
  assert (indices[0] == target_ops.NO_MATCH).all()


def test_a_seed_decides_what_is_drawn():
  inputs = _inputs(60, [5, 2, 0])
  first = _sample(_params(), inputs, seed=[7, 100])
  again = _sample(_params(), inputs, seed=[7, 100], num_threads=1)
  later = _sample(_params(), inputs, seed=[7, 101])
  np.testing.assert_array_equal(first[0], again[0])
  assert (first[0] != later[0]).any()


def test_positives_and_negatives_are_drawn_evenly():
  ious = [0.9] * 20 + [0.2] * 40
  params = _params(num_samples_per_image=20, mix_gt_boxes=False)
  inputs = _unit_boxes(ious)
  # All boxes are distinct.
  inputs[0][0, :, 3] += np.arange(60) * 1e-3
  drawn = np.zeros(60)
  with tf.Graph().as_default(), tf.Session() as session:
    seed = tf.placeholder(tf.int32, [2])
    sampler = target_ops.ROISampler(
      params, functools.partial(tf.random.stateless_uniform, seed=seed)
    )
    rois = sampler(*map(tf.constant, inputs))[0]
    for i in range(400):
      got = session.run(rois, {seed: [0, i]})[0, :, 3]
      drawn += np.isin(inputs[0][0, :, 3], got)
  # 5 of 20 and 15 of 40, each 400 times; four standard deviations.
  assert np.abs(drawn[:20] - 100).max() < 35
  assert np.abs(drawn[20:] - 150).max() < 40


def test_too_few_candidates_are_refused():
  with pytest.raises(errors.ConfigError, match='num_samples_per_image: 24'):
    _sample(_params(), _inputs(10, [1]))


def test_box_targets_are_those_that_decode_to_the_box():
  weights = (10.0, 10.0, 5.0, 5.0)
  rois = np.float32([[[0, 0, 9, 19], [0, 0, 9, 19]]])
  boxes = np.float32([[[5, 0, 24, 19], [5, 0, 24, 19]]])
  with tf.Graph().as_default(), tf.Session() as session:
    got = session.run(
      target_ops.box_targets(
        tf.constant(rois), tf.constant(boxes), tf.constant([[2, 0]]), weights
      )
    )
  # Sides of 10 and 20 pixels, centres at 5 and 15.
  np.testing.assert_allclose(
    got, [[[10, 0, 5 * np.log(2), 0], [0, 0, 0, 0]]], rtol=1e-6
  )


def test_golden_masks():
  want = golden_numbers.expected('roi_masks.npz')
  rng = np.random.RandomState(0)
  gt_boxes = np.stack([golden_boxes.boxes_in(rng, 6, 128, 160) for _ in '12'])
  masks = np.stack([golden_boxes.soft_masks(rng, 6, 28) for _ in '12'])
  indices = rng.randint(0, 6, (2, 16)).astype(np.int32)
  classes = rng.randint(0, 5, (2, 16)) * rng.randint(0, 2, (2, 16))
  boxes = np.take_along_axis(gt_boxes, indices[..., None].repeat(4, -1), 1)
  rois = (boxes + rng.uniform(-9, 9, boxes.shape)).astype(np.float32)
  rois[:, 0], rois[:, 1] = boxes[:, 0], 3
  with tf.Graph().as_default(), tf.Session() as session:
    got = session.run(
      target_ops.MaskSampler(28, 10)(
        *map(tf.constant, (rois, boxes, classes, indices, masks))
      )
    )
  for key, value in zip(('rois', 'classes', 'targets'), got):
    assert golden_numbers.relative_error(want[key], value) < 3e-4, key


def test_masks_of_an_image_without_objects_can_be_drawn():
  with tf.Graph().as_default(), tf.Session() as session:
    rois, classes, targets = session.run(
      target_ops.MaskSampler(28, 2)(
        tf.ones([1, 3, 4]),
        tf.zeros([1, 3, 4]),
        tf.zeros([1, 3], tf.int64),
        tf.fill([1, 3], target_ops.NO_MATCH),
        -tf.ones([1, 5, 14, 14]),
      )
    )
  assert np.isfinite(targets).all() and not classes.any()
  assert rois.shape == (1, 2, 4)
