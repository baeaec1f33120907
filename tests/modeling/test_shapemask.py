"""ShapeMask: golden numbers, shape priors, losses in parts."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import params_dict
from modeling import factory, instance_mask_losses
from modeling.architecture import layer_kit
from modeling.architecture.heads import prior_mask_head, refined_mask_head
from tests import golden_numbers, shapemask_batch
from utils import errors, mode_keys, shape_priors

_UP_1 = {
  'shapemask_head': {'upsample_factor': 1},
  'shapemask_parser': {'upsample_factor': 1},
  'batch_norm_activation': {'activation': 'swish'},
  'anchor': {'anchor_size': 2.0},
}


def _params(*overrides):
  params = golden_numbers.make_params(shapemask_batch.SMALL)
  for override in overrides:
    params.override(override)
  return params


def _check(want, got, tolerance):
  """Compares outputs; of large ones a sample at fixed places was kept."""
  for key, value in golden_numbers.flatten(got).items():
    value = np.asarray(value)
    if key + '@sample' in want:
      places = np.random.RandomState(3).choice(value.size, 20000, replace=False)
      value, key = value.reshape(-1)[np.sort(places)], key + '@sample'
    error = golden_numbers.relative_error(want[key], value)
    assert error < tolerance, (key, error)


def test_golden_network():
  name, size = 'shapemask_r18_up1', (128, 128)
  with tf.Graph().as_default(), golden_numbers.make_session() as session:
    # Of any batch.
    images = tf.placeholder(tf.float32, [None, *size, 3])
    info = tf.constant([[size, size, [1, 1], [0, 0]]] * 2, tf.float32)
    model = factory.model_generator(_params(_UP_1))
    outputs = model.build_outputs(
      images, {'image_info': info}, mode_keys.PREDICT
    )
    trainable = {v.op.name for v in tf.trainable_variables()}
    variables = [
      [v.op.name, v.shape.as_list(), v.op.name in trainable]
      for v in tf.global_variables()
    ]
    assert sorted(variables) == sorted(golden_numbers.expected(name + '.json'))
    golden_numbers.load_weights(session)
    values = np.random.RandomState(7).standard_normal((2, *size, 3))
    got = session.run(outputs, {images: values})
  want = golden_numbers.expected(name + '.npz')
  assert {k.split('@')[0] for k in want} == set(golden_numbers.flatten(got))
  _check(want, got, 1e-4)
  assert got['detection_classes'].dtype == np.int32
  assert {*model.served_outputs, *model.predicted} <= {*got, 'image_info'}


@pytest.mark.slow
def test_golden_training_outputs_and_losses():
  params = _params()
  with tf.Graph().as_default(), golden_numbers.make_session() as session:
    images, labels = shapemask_batch.constants(
      shapemask_batch.make(params, (128, 160), 2, 57)
    )
    model = factory.model_generator(params)
    outputs = model.build_outputs(images, labels, mode_keys.TRAIN)
    losses = model.build_losses(outputs, labels)
    golden_numbers.load_weights(session)
    got, losses = session.run([outputs, losses])
  want = golden_numbers.expected('outputs_shapemask_r18.npz')
  _check(want, got, 2e-4)
  _check(want, {'loss': losses}, 1e-4)
  assert set(losses) == {*model.watched_losses, 'model_loss'}


def _some_outputs(random, batch_size):
  shape = [batch_size, 2, 8, 8]
  return {
    'prior_masks': random.uniform(size=shape).astype(np.float32),
    'coarse_mask_logits': random.normal(size=shape).astype(np.float32),
    'fine_mask_logits': random.normal(size=shape).astype(np.float32),
    'cls_outputs': {3: random.normal(size=[batch_size, 4, 4, 45])},
    'box_outputs': {3: random.normal(size=[batch_size, 4, 4, 36])},
  }


def test_losses_of_parts_add_up():
  params, random = _params(), np.random.RandomState(1)
  outputs = tf.nest.map_structure(np.float32, _some_outputs(random, 4))
  targets = (random.uniform(size=[4, 2, 8, 8]) > 0.5).astype(np.float32)
  labels = {
    'mask_targets': targets,
    'fine_mask_targets': 1 - targets,
    'mask_is_valid': np.int32([[1, 1], [0, 1], [1, 0], [0, 0]]),
    'num_positives': np.float32([3, 0, 5, 1]),
    'cls_targets': {3: random.randint(-2, 5, [4, 4, 4, 9]).astype(np.int32)},
    'box_targets': {3: np.float32(random.normal(size=[4, 4, 4, 36]))},
  }
  model = factory.model_generator(params)
  assert model.losses_add_up

  def losses(rows):
    part = shapemask_batch.constants(
      tf.nest.map_structure(lambda values: values[rows], [outputs, labels])
    )
    return model.normalized_losses(*part, normalizer)

  with tf.Graph().as_default(), tf.Session() as session:
    normalizer, _ = model.loss_normalizer(shapemask_batch.constants(labels))
    whole, *parts = session.run(
      [losses(slice(0, 4)), losses(slice(0, 1)), losses(slice(1, 4))]
    )
  for name, value in whole.items():
    assert value == pytest.approx(sum(part[name] for part in parts), rel=1e-5)
  # Of all three that count, and the cells of all eight.
  valid = labels['mask_is_valid'][..., None, None]
  error = valid * (targets - outputs['prior_masks']) ** 2
  assert whole['shapemask_prior_loss'] == pytest.approx(
    0.5 * error.sum() / targets.sum(), rel=1e-5
  )


def test_masks_without_a_cell_cost_nothing():
  masks = tf.ones([1, 2, 4, 4])
  with tf.Session() as session:
    for loss in (
      instance_mask_losses.squared_error,
      instance_mask_losses.cross_entropy,
    ):
      zeros = tf.zeros_like(masks)
      cost = loss(masks, zeros, tf.ones([1, 2], tf.int32), tf.reduce_sum(zeros))
      assert session.run(cost) == 0


def _placed(prior, box, outer, size):
  """Samples at the begins of cells, bilinear, nothing around the prior."""
  padded = np.pad(prior, 2, 'constant')
  last = len(padded) - 1

  def samples(axis):
    scale = len(prior) / (box[axis + 2] - box[axis] + 1e-8)
    cells = np.arange(size) * (outer[axis + 2] - outer[axis]) / size
    return 2 + (outer[axis] - box[axis] + cells) * scale

  placed = np.zeros([size, size])
  for i, y in enumerate(samples(0)):
    for j, x in enumerate(samples(1)):
      y0, x0 = (min(max(np.floor(v), 0), last) for v in (y, x))
      for row, by_row in ((y0, 1 - y + y0), (min(y0 + 1, last), y - y0)):
        for column, by in ((x0, 1 - x + x0), (min(x0 + 1, last), x - x0)):
          placed[i, j] += by_row * by * padded[int(row), int(column)]
  return placed


@pytest.mark.parametrize('num_rows', [3, 1])
def test_priors_of_the_class_are_mixed_and_placed(num_rows):
  random = np.random.RandomState(2)
  priors = random.uniform(size=[num_rows, 2, 6, 6]).astype(np.float32)
  boxes = np.float32([[[20, 12, 60, 44], [0, 30, 16, 63]], [[8] * 4] * 2])
  outer = np.float32([[[15, 8, 65, 48], [0, 26, 18, 63]], [[8] * 4] * 2])
  classes = np.int32([[2, 1], [0, 0]])
  head = prior_mask_head.PriorMaskHead(priors, num_filters=4, crop_size=8)
  features = {3: random.normal(size=[2, 16, 16, 5]).astype(np.float32)}
  with tf.Graph().as_default(), tf.Session() as session:
    crops, masks = head(
      *map(shapemask_batch.constants, (features, boxes, outer, classes))
    )
    session.run(tf.global_variables_initializer())
    bias = tf.global_variables('prior_mask/dense_1/bias')[0]
    kernel = tf.global_variables('prior_mask/dense_1/kernel')[0]
    # Whatever is seen, the second prior is three times as likely.
    logits = np.tile([0, np.log(3)], num_rows)
    session.run([bias.assign(logits), kernel.assign(kernel * 0)])
    crops, masks = session.run([crops, masks])
  assert crops.shape == (2, 2, 8, 8, 4) and np.isfinite(masks).all()
  for place in (0, 1):
    of_class = priors[classes[0, place] if num_rows > 1 else 0]
    want = _placed(
      of_class[0] / 4 + of_class[1] * 3 / 4, boxes[0, place], outer[0, place], 8
    )
    np.testing.assert_allclose(masks[0, place], want, atol=1e-5)


def test_refined_masks_in_bfloat16():
  head = refined_mask_head.RefinedMaskHead(
    'fine_mask',
    num_masks=3,
    layers=layer_kit.from_params(_params()),
    num_convs=1,
    upsample_factor=2,
    subtracts_instance=True,
  )
  with tf.Graph().as_default(), tf.tpu.bfloat16_scope():
    crops = tf.zeros([1, 2, 8, 8, 4], tf.bfloat16)
    classes = tf.constant([[1, 2]])
    logits = head(crops, tf.ones([1, 2, 8, 8]), classes, is_training=True)
    assert (logits.dtype, logits.shape) == (tf.bfloat16, (1, 2, 16, 16))
    types = {v.dtype.base_dtype for v in tf.global_variables()}
  assert types == {tf.float32}


@pytest.mark.parametrize(
  'priors, words',
  [
    (np.zeros([4, 2, 8, 8]), r'shape \[4, 2, 8, 8\].* needed is \[5, clusters'),
    (np.zeros([5, 2, 8, 9]), r'shape \[5, 2, 8, 9\]'),
    (np.zeros([5, 8, 8]), r'shape \[5, 8, 8\]'),
    (np.full([5, 2, 8, 8], 255.0), 'values from 255 to 255'),
    (np.full([5, 2, 8, 8], np.nan), 'values from nan'),
    (np.full([5, 2, 8, 8], 'a'), 'holds <U1'),
    (None, 'cannot be read'),
  ],
)
def test_priors_that_do_not_fit_are_refused(tmp_path, priors, words):
  path = str(tmp_path / 'priors.npy')
  if priors is not None:
    np.save(path, priors)
  params = _params({'shapemask_head': {'shape_prior_path': path}})
  with pytest.raises(
    errors.ConfigError, match=f'shapemask_head.shape_prior_path: .*{words}'
  ):
    factory.model_generator(params)


def test_other_files_are_no_priors(tmp_path):
  empty, archive = tmp_path / 'empty.npy', tmp_path / 'a.npz'
  empty.touch()
  np.savez(str(archive), np.zeros([5, 2, 8, 8]))
  for path in (empty, archive):
    with pytest.raises(errors.ConfigError, match='cannot be read as a file of'):
      shape_priors.read(str(path), 5)


def test_priors_that_fit(tmp_path):
  path = str(tmp_path / 'priors.npy')
  np.save(path, np.full([1, 3, 8, 8], 1.0 + 1e-6))
  assert shape_priors.read(path, 1).dtype == np.float32
  head = {'shape_prior_path': path, 'use_category_for_mask': False}
  factory.model_generator(_params({'shapemask_head': head}))


def test_raw_outputs_are_refused():
  params = params_dict.with_overrides(
    _params(), {'postprocess.apply_nms': False}
  )
  with pytest.raises(errors.ConfigError, match='apply_nms: false .*shapemask'):
    factory.model_generator(params)
