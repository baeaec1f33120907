"""Batches of all modes against golden numbers and against each other."""

import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import input_reader, parser_generator
from tests import golden_numbers, record_factory
from utils import errors, mode_keys


def _params(override=None):
  params = golden_numbers.make_params(
    {
      'architecture': {'num_classes': 4},
      'retinanet_parser': {'output_size': [128, 256]},
    }
  )
  params.override(override or {})
  return params


def _batches(
  params,
  mode,
  count,
  batch_size=2,
  pattern=golden_numbers.RECORDS,
  start_step=0,
  part=(0, 1),
):
  """The first batches, or fewer if there are fewer."""
  batches = []
  with tf.Graph().as_default(), tf.Session() as session:
    input_fn = input_reader.InputFn(
      pattern, params, mode, start_step=start_step
    )
    dataset = input_fn({'batch_size': batch_size, 'part': part})
    fetches = tf.data.make_one_shot_iterator(dataset).get_next()
    for shape in tf.nest.flatten(
      tf.nest.map_structure(lambda t: t.shape, fetches)
    ):
      assert shape.is_fully_defined()
    for _ in range(count):
      try:
        batches.append(session.run(fetches))
      except tf.errors.OutOfRangeError:
        break
  return batches


@pytest.mark.parametrize(
  'name, mode, override',
  [
    ('eval', mode_keys.EVAL, {'retinanet_parser': {'output_size': [256, 384]}}),
    (
      'predict',
      mode_keys.PREDICT,
      {'retinanet_parser': {'output_size': [256, 384]}},
    ),
    (
      'predict_with_gt',
      mode_keys.PREDICT_WITH_GT,
      {'retinanet_parser': {'output_size': [256, 384]}},
    ),
    (
      'thresholds',
      mode_keys.EVAL,
      {
        'retinanet_parser': {
          'output_size': [256, 256],
          'match_threshold': 0.6,
          'unmatched_threshold': 0.4,
        },
        'anchor': {
          'num_scales': 2,
          'aspect_ratios': [1.0, 3.0],
          'anchor_size': 3.0,
        },
      },
    ),
  ],
)
def test_golden_labels(name, mode, override):
  (batch,) = _batches(_params(override), mode, 1, 4)
  if mode == mode_keys.EVAL:
    batch = {'images': batch[0], 'labels': batch[1]}
  golden_numbers.check_labels(f'labels_{name}.npz', batch)


def test_training_without_augmentation_is_evaluation():
  (evaluation,) = _batches(_params(), mode_keys.EVAL, 1, 4)
  params = _params({'retinanet_parser': {'aug_rand_hflip': False}})
  (training,) = _batches(params, mode_keys.TRAIN, 1, 4)
  order = np.argsort(training[1]['source_id'])
  rows = training[1]['source_id'][order] - 1
  np.testing.assert_array_equal(training[0][order], evaluation[0][rows])
  for key in ('cls_targets', 'box_targets'):
    for level in range(3, 8):
      np.testing.assert_allclose(
        training[1][key][level][order],
        evaluation[1][key][level][rows],
        atol=1e-6,
      )
  assert 'groundtruths' not in training[1]


def _flip_records(tmp_path):
  image = record_factory.pixels(128, 256)
  record = record_factory.make_record(
    b'5',
    record_factory.encode(image),
    [[0.1, 0.125, 0.6, 0.375], [0.25, 0.5, 0.75, 1.0]],
    [1, 2],
    object__is_crowd=np.int64([0, 1]),
  )
  return image, record_factory.write_records(tmp_path / 'a', [record] * 8)


def test_flip_mirrors_image_and_boxes_alike_and_crowds_are_dropped(tmp_path):
  image, path = _flip_records(tmp_path)
  (batch,) = _batches(
    _params({'train': {'seed': 2}}), mode_keys.TRAIN, 1, 8, path
  )
  images, labels = batch
  plain = (image / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
  mirrored = [np.abs(value - plain[:, ::-1]).max() < 1e-4 for value in images]
  assert 0 < sum(mirrored) < 8
  for value, is_mirrored, classes in zip(
    images, mirrored, labels['cls_targets'][4]
  ):
    expected = plain[:, ::-1] if is_mirrored else plain
    np.testing.assert_allclose(value, expected, atol=1e-4)
    # The box spans columns 32 to 96, mirrored 160 to 224.
    columns = np.flatnonzero((classes == 1).any(axis=(0, 2))) * 16 + 8
    assert columns.size
    assert (columns > 128).all() if is_mirrored else (columns < 128).all()
    assert not (classes == 2).any()


def test_crowds_are_learned_if_wanted(tmp_path):
  _, path = _flip_records(tmp_path)
  params = _params({'retinanet_parser': {'skip_crowd_during_training': False}})
  ((_, labels),) = _batches(params, mode_keys.TRAIN, 1, 8, path)
  assert all((c == 2).any() for c in labels['cls_targets'][4])


def _jittered(seed, count=6, start_step=0):
  params = _params(
    {
      # A graph that is built soon.
      'architecture': {'min_level': 5, 'max_level': 5},
      'retinanet_parser': {'aug_scale_min': 0.5, 'aug_scale_max': 2.0},
      'train': {'seed': seed},
    }
  )
  return _batches(params, mode_keys.TRAIN, count, start_step=start_step)


@pytest.fixture(scope='module')
def jittered():
  return _jittered(7)


def test_a_seed_makes_training_data_reproducible(jittered):
  first, second = jittered, _jittered(7)
  for a, b in zip(first, second):
    tf.nest.map_structure(np.testing.assert_array_equal, a, b)
  other = _jittered(8)
  assert any((a[0] != b[0]).any() for a, b in zip(first, other))


@pytest.mark.parametrize(
  'seed', [pytest.param(None, marks=pytest.mark.slow), 7]
)
def test_a_training_goes_on_with_the_images_and_the_jitter_of_its_step(
  seed, jittered
):
  whole = jittered if seed else _jittered(None)
  parts = _jittered(seed, 3) + _jittered(seed, 3, start_step=3)
  for a, b in zip(whole, parts):
    np.testing.assert_array_equal(a[1]['source_id'], b[1]['source_id'])
  infos = [
    np.concatenate([labels['image_info'] for _, labels in batches])
    for batches in (whole, parts)
  ]
  # Without a seed the jitter is another one each time.
  assert np.array_equal(*infos) == (seed is not None)
  # The draws do not repeat, but two may round to one size.
  scales = np.concatenate([b[1]['image_info'][:, 2, 0] for b in parts])
  assert len(set(scales)) > len(scales) - 4
  for epoch in whole[:2], whole[2:4]:
    ids = np.concatenate([labels['source_id'] for _, labels in epoch])
    assert sorted(ids) == [1, 2, 3, 4]


def test_a_step_of_several_batches(jittered):
  """As where several replicas take a batch each."""
  with tf.Graph().as_default(), tf.Session() as session:
    input_fn = input_reader.InputFn(
      golden_numbers.RECORDS,
      _params({'train': {'seed': 7}}),
      mode_keys.TRAIN,
      start_step=2,
    )
    dataset = input_fn({'batch_size': 1, 'step_size': 2})
    fetches = tf.data.make_one_shot_iterator(dataset).get_next()
    ids = [int(session.run(fetches)[1]['source_id']) for _ in range(2)]
  assert ids == jittered[2][1]['source_id'].tolist()


def test_parts_of_the_training_data_have_their_own_jitter():
  with tf.Graph().as_default(), tf.Session() as session:
    draws = [input_reader.draws(6, 3, i, 2).batch(5) for i in range(2)]
    draws.append(input_reader.draws(6, 3).batch(10))
    iterators = [tf.data.make_one_shot_iterator(d) for d in draws]
    first, second, both = session.run([i.get_next() for i in iterators])
  np.testing.assert_array_equal(both[::2], first)
  np.testing.assert_array_equal(both[1::2], second)


@pytest.mark.parametrize('mode', [mode_keys.EVAL, mode_keys.PREDICT_WITH_GT])
def test_evaluation_reads_everything_whatever_the_part(mode):
  # Four images.
  assert len(_batches(_params(), mode, 9, part=(1, 2))) == 2


def test_draws_of_scale_and_crop_are_uniform_and_uncorrelated():
  with tf.Graph().as_default(), tf.Session() as session:
    draws = input_reader.draws(6, 0).batch(4000)
    draws = session.run(tf.data.make_one_shot_iterator(draws).get_next())
  np.testing.assert_allclose(draws.mean(axis=0), 0.5, atol=0.03)
  np.testing.assert_allclose(draws.std(axis=0), 12**-0.5, atol=0.02)
  correlation = np.corrcoef(draws.T) - np.eye(draws.shape[1])
  assert np.abs(correlation).max() < 0.06


def _images(block, transposes):
  params = _params(
    {
      'architecture': {
        **{'min_level': 5, 'max_level': 5},
        'space_to_depth_block_size': block,
      },
      'train': {'seed': 5, 'transpose_input': transposes},
    }
  )
  return _batches(params, mode_keys.TRAIN, 1, 3)[0][0]


@pytest.fixture(scope='module')
def plain_images():
  return _images(1, False)


@pytest.mark.parametrize('block,transposes', [(1, True), (4, False), (4, True)])
def test_layouts_of_training_images(block, transposes, plain_images):
  expected = plain_images
  if block > 1:
    with tf.Graph().as_default(), tf.Session() as session:
      expected = session.run(tf.nn.space_to_depth(plain_images, block))
  if transposes:
    order = [1, 2, 0, 3] if block > 1 else [1, 2, 3, 0]
    expected = expected.transpose(order)
  np.testing.assert_array_equal(_images(block, transposes), expected)


@pytest.mark.parametrize(
  'mode', [mode_keys.EVAL, mode_keys.PREDICT, mode_keys.PREDICT_WITH_GT]
)
def test_the_last_batch_is_padded(mode):
  batches = _batches(_params(), mode, 9, 3)
  if mode == mode_keys.EVAL:
    batches = [{'images': b[0], 'labels': b[1]} for b in batches]
  assert [b['labels']['is_padding'].tolist() for b in batches] == [
    [False] * 3,
    [False, True, True],
  ]
  images, labels = batches[1]['images'], batches[1]['labels']
  assert (images[0] != 0).any() and (images[1:] == 0).all()
  np.testing.assert_array_equal(
    labels['image_info'][1], [[128, 256], [128, 256], [1, 1], [0, 0]]
  )
  if mode == mode_keys.PREDICT:
    assert 'groundtruths' not in labels and 'cls_targets' not in labels
    return
  for level in range(3, 8):
    assert (labels['cls_targets'][level][1:] == -2).all()
    assert (labels['cls_targets'][level][0] != -2).all()
    assert (labels['box_targets'][level][1:] == 0).all()
  assert labels['num_positives'][1:].tolist() == [0, 0]
  groundtruths = labels['groundtruths']
  assert groundtruths['source_id'].tolist() == [4, -1, -1]
  count = 'num_groundtruths' if mode == mode_keys.EVAL else 'num_detections'
  assert groundtruths[count].tolist() == [[2], [0], [0]]
  assert (groundtruths['boxes'][1:] == -1).all()
  assert (groundtruths['is_crowds'] == 0).all()


def test_a_batch_without_any_object(tmp_path):
  record = record_factory.make_record(boxes=[], classes=[])
  path = record_factory.write_records(tmp_path / 'a', [record] * 2)
  for mode in (mode_keys.EVAL, mode_keys.TRAIN):
    ((_, labels),) = _batches(_params(), mode, 1, 2, path)
    assert labels['num_positives'].tolist() == [0, 0]
    assert all((t == -1).all() for t in labels['cls_targets'].values())
    assert all((t == 0).all() for t in labels['box_targets'].values())


def test_files_are_read_in_order_outside_training(tmp_path):
  for i in range(3):
    records = [record_factory.make_record(b'%d' % (10 * i + j)) for j in (0, 1)]
    record_factory.write_records(tmp_path / f'part-{i}', records)
  pattern = os.path.join(str(tmp_path), 'part-*')
  batches = _batches(_params(), mode_keys.PREDICT_WITH_GT, 9, 3, pattern)
  ids = [b['labels']['groundtruths']['source_id'].tolist() for b in batches]
  assert ids == [[0, 10, 20], [1, 11, 21]]


def test_bfloat16_images():
  params = _params({'architecture': {'use_bfloat16': True}})
  ((images, _),) = _batches(params, mode_keys.EVAL, 1, 2)
  assert images.dtype == tf.bfloat16.as_numpy_dtype


@pytest.mark.parametrize(
  'override, message',
  [
    (
      {'retinanet_parser': {'aug_policy': 'v9'}},
      r"retinanet_parser\.aug_policy: 'v9'",
    ),
    (
      {'architecture': {'parser': 'retinanet_praser'}},
      'architecture.parser.*Did you mean',
    ),
  ],
)
def test_unknown_components_are_named(override, message):
  with pytest.raises(errors.ConfigError, match=message):
    parser_generator.parser_generator(_params(override), mode_keys.TRAIN)


def test_unknown_mode_and_dataset_type():
  with pytest.raises(errors.ConfigError, match="'trian'"):
    input_reader.InputFn('x', _params(), 'trian')
  with pytest.raises(ValueError, match="'csv'.*'tfrecord'"):
    input_reader.InputFn('x', _params(), mode_keys.TRAIN, 'csv')
