"""What `retinanet_parser.aug_policy` takes, and how it says no."""

import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import resolver
from dataloader import autoaugment, input_reader, parser_generator
from dataloader.autoaugment import policy_registry
from tests import golden_numbers, record_factory
from tests.dataloader.autoaugment import numpy_model
from utils import errors, mode_keys

_KEY = 'retinanet_parser.aug_policy'


def test_no_policy():
  assert autoaugment.policy_from_config('') is None
  assert autoaugment.policy_from_config(None) is None
  image, boxes = object(), object()
  assert autoaugment.distort_image_with_autoaugment(image, boxes, '') == (
    image,
    boxes,
  )


@pytest.mark.parametrize(
  'value, parts',
  [
    ('v9', ["'v9' is unknown", 'v0, v1, v2, v3, randaugment-N-M']),
    ('V0', ["'V0' is unknown"]),
    ('tset', ["Did you mean 'test'?"]),
    ('randaugment', ['randaugment-N-M', 'randaugment-2-6']),
    ('randaugment-0-5', ["'randaugment-0-5'", '1 to 20']),
    ('randaugment-2-11', ["'randaugment-2-11'", '0 to 10']),
    ('randaugment-2', ['randaugment-N-M']),
    ([], ['must be a list of sub-policies', 'is empty']),
    (3, ['must be a list of sub-policies', '3 is int']),
    ([[]], ['[0] must be a list of [operation', 'is empty']),
    (
      [['Equalize', 1.0, 4]],
      ["[0][0] must be [operation, probability, level], but is 'Equalize'"],
    ),
    ([[['Equalize', 1.0]]], ['[0][0] must be [operation', "['Equalize', 1.0]"]),
    (
      [[['Color', 1, 1]], [['Color', 1, 1], ['Equalise', 1.0, 4]]],
      [
        "[1][1]: operation 'Equalise' is unknown; known are AutoContrast",
        "Did you mean 'Equalize'?",
      ],
    ),
    ([[[7, 1.0, 4]]], ['operation 7 is unknown']),
    ([[[['x'], 1.0, 4]]], ["operation ['x'] is unknown"]),
    (
      [[['Color', 1.1, 4]]],
      ['[0][0]: probability of Color must be a number from 0 to 1', '1.1'],
    ),
    ([[['Color', -0.1, 4]]], ['probability of Color', '-0.1']),
    ([[['Color', True, 4]]], ['probability of Color', 'True']),
    ([[['Color', float('nan'), 4]]], ['probability of Color', 'nan']),
    ([[['Color', 1, 10.5]]], ['level of Color', 'from 0 to 10', '10.5']),
    ([[['Color', 1, -1]]], ['level of Color', '-1']),
    ([[['Color', 1, '4']]], ['level of Color', "'4'"]),
    ([[['Color', 1, None]]], ['level of Color', 'None']),
  ],
)
def test_what_is_wrong_is_named(value, parts):
  with pytest.raises(errors.ConfigError) as info:
    autoaugment.policy_from_config(value, _KEY)
  assert str(info.value).startswith(_KEY)
  for part in parts:
    assert part in str(info.value)


def test_a_registered_list_is_checked_too():
  with pytest.raises(
    errors.ConfigError, match=r"Policy 'bad'\[0\]\[0\]: level"
  ):
    policy_registry.register_sub_policies('bad', [[('Color', 1.0, 11)]])
  assert 'bad' not in autoaugment.POLICIES.names()


_LIST = [[['Equalize', 0.8, 10], ['Color', 0.5, 4]], [['Cutout', 1.0, 8]]]


@pytest.mark.parametrize('value', ['v1', 'randaugment-2-6.5', _LIST, ''])
def test_every_form_passes_files_text_and_print_config(value, tmp_path):
  written = "''" if value == '' else str(value)
  path = os.path.join(str(tmp_path), 'config.yaml')
  with open(path, 'w') as f:
    f.write('retinanet_parser:\n  aug_policy: {}\n'.format(written))
  for kwargs in (
    {'config_file': path},
    {'params_override': f'{_KEY}={written}'},
    {'params_override': f'{{retinanet_parser: {{aug_policy: {written}}}}}'},
  ):
    resolved = resolver.resolve(**kwargs)
    assert resolved.params.retinanet_parser.aug_policy == value
    printed = resolver.to_yaml_with_sources(resolved)
    again = resolver.resolve(config_file=resolver.yaml_loader.load(printed))
    assert again.params.retinanet_parser.aug_policy == value
    parser_generator.parser_generator(resolved.params, mode_keys.TRAIN)


@pytest.mark.parametrize('value', [3, 0.5, True, {'v0': 1}])
def test_other_kinds_are_config_errors(value):
  with pytest.raises(errors.ConfigError, match=_KEY + ' must be str or list'):
    resolver.resolve(
      params_override={'retinanet_parser': {'aug_policy': value}}
    )


@pytest.mark.parametrize('mode', [mode_keys.TRAIN, mode_keys.EVAL])
def test_a_wrong_policy_ends_a_run_before_there_is_a_graph(mode):
  params = golden_numbers.make_params(
    {'retinanet_parser': {'aug_policy': [[['Colour', 1.0, 4]]]}}
  )
  with tf.Graph().as_default() as graph:
    with pytest.raises(errors.ConfigError, match="Did you mean 'Color'"):
      input_reader.InputFn('', params, mode)
    assert not graph.get_operations()


def _batches(path, policy, count=1, batch_size=4, **override):
  params = golden_numbers.make_params(
    {
      'architecture': {'num_classes': 4, 'min_level': 4, 'max_level': 5},
      'retinanet_parser': {
        'output_size': [128, 256],
        'aug_policy': policy,
        'aug_rand_hflip': False,
        **override.pop('retinanet_parser', {}),
      },
      **override,
    }
  )
  with tf.Graph().as_default(), tf.Session() as session:
    input_fn = input_reader.InputFn(path, params, mode_keys.TRAIN)
    dataset = input_fn({'batch_size': batch_size})
    fetches = tf.data.make_one_shot_iterator(dataset).get_next()
    return [session.run(fetches) for _ in range(count)]


def _record(boxes, tmp_path, **features):
  image = numpy_model.image(128, 256)
  record = record_factory.make_record(
    b'1',
    record_factory.encode(image),
    boxes,
    [1] * len(boxes),
    **features,
  )
  return image, record_factory.write_records(tmp_path / 'a', [record] * 4)


def test_training_sees_the_augmented_image_and_boxes(tmp_path):
  image, path = _record([[0.25, 0.25, 0.75, 0.5]], tmp_path)
  ((images, labels),) = _batches(path, [[['TranslateX_BBox', 1.0, 2.56]]])
  directions = set()
  for value, classes in zip(images, labels['cls_targets'][4]):
    columns = np.flatnonzero((classes == 1).any(axis=(0, 2))) * 16 + 8
    # Columns 64 to 128 move by 64.
    is_right = columns.mean() > 96
    assert (columns >= 128).all() if is_right else (columns <= 64).all()
    directions.add(is_right)
    moved = numpy_model.translate_x(image, -64.0 if is_right else 64.0)
    moved = (moved / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(value, moved, atol=1e-4)


def test_evaluation_is_not_augmented():
  batches = []
  for policy in ('', _SMALL):
    params = golden_numbers.make_params(
      {
        'architecture': {'num_classes': 4, 'min_level': 5, 'max_level': 5},
        'retinanet_parser': {'output_size': [128, 256], 'aug_policy': policy},
      }
    )
    with tf.Graph().as_default(), tf.Session() as session:
      input_fn = input_reader.InputFn(
        golden_numbers.RECORDS, params, mode_keys.EVAL
      )
      dataset = input_fn({'batch_size': 4})
      batches.append(
        session.run(tf.data.make_one_shot_iterator(dataset).get_next()[0])
      )
  np.testing.assert_array_equal(*batches)


# All kinds of random numbers, and a graph that is built soon.
_SMALL = [
  [['Rotate_BBox', 0.5, 10], ['Cutout', 0.8, 2]],
  [['Cutout_Only_BBoxes', 1.0, 2], ['BBox_Cutout', 0.9, 4]],
]


@pytest.mark.slow
def test_a_seed_makes_augmented_batches_reproducible():
  def batches(seed):
    return _batches(
      golden_numbers.RECORDS,
      _SMALL,
      count=4,
      train={'seed': seed},
      retinanet_parser={'aug_scale_min': 0.5, 'aug_scale_max': 2.0},
    )

  first, again, other = batches(3), batches(3), batches(4)
  for a, b in zip(first, again):
    tf.nest.map_structure(np.testing.assert_array_equal, a, b)
  assert any((a[0] != b[0]).any() for a, b in zip(first, other))


def test_the_policy_leaves_flip_and_jitter_as_they_were():
  infos = [
    _batches(
      golden_numbers.RECORDS,
      policy,
      train={'seed': 5},
      retinanet_parser={
        'aug_rand_hflip': True,
        'aug_scale_min': 0.5,
        'aug_scale_max': 2.0,
      },
    )[0][1]['image_info']
    for policy in ('', _SMALL)
  ]
  np.testing.assert_array_equal(*infos)


def test_images_of_one_batch_are_augmented_differently(tmp_path):
  _, path = _record([[0.25, 0.25, 0.75, 0.5]], tmp_path)
  ((images, _),) = _batches(path, _SMALL, batch_size=8, train={'seed': 1})
  assert len({value.tobytes() for value in images}) > 4


@pytest.mark.parametrize('skips', [True, False])
def test_crowds_take_no_part_unless_they_are_learned(skips, tmp_path):
  image, path = _record(
    [[0.1, 0.1, 0.9, 0.9]], tmp_path, object__is_crowd=np.int64([1])
  )
  policy = [[['BBox_Cutout', 1.0, 10]]]
  ((images, labels),) = _batches(
    path,
    policy,
    retinanet_parser={'skip_crowd_during_training': skips},
  )
  plain = (image / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
  is_plain = [np.allclose(value, plain, atol=1e-4) for value in images]
  assert is_plain == [skips] * 4
  assert (labels['cls_targets'][5] == 1).any() != skips


@pytest.mark.parametrize(
  'box', [[0.2, 0.2, 0.5, 1.4], [0.5, 0.2, 0.2, 0.6], [-0.5, 0.1, 0.3, 0.3]]
)
def test_a_wrong_box_is_reported_in_spite_of_the_policy(box, tmp_path):
  _, path = _record([[0.1, 0.1, 0.2, 0.2], box], tmp_path)
  policy = [[['TranslateX_BBox', 1.0, 1], ['Flip_Only_BBoxes', 1.0, 1]]]
  with pytest.raises(
    tf.errors.InvalidArgumentError, match='inverted or outside'
  ):
    _batches(path, policy)
