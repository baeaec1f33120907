import pytest

from configs import resolver
from executor.preflight import layout


def _check(num_cores=8, **settings):
  train = {'train_batch_size': 64, **settings.pop('train', {})}
  params = resolver.resolve(
    params_override={'train': train, **settings},
    flags={'use_tpu': True, 'num_cores': num_cores},
    mode='tpu_preflight',
  ).params
  return layout.check_layout(params)


_PARTED = {
  'num_cores_per_replica': 2,
  'input_partition_dims': [[1, 2, 1, 1], 'None'],
}


@pytest.mark.parametrize(
  'settings, num_replicas',
  [
    ({}, 8),
    ({'train': _PARTED}, 4),
    # A pod leaves evaluation to 8 cores elsewhere.
    ({'num_cores': 16, 'eval': {'eval_batch_size': 8}}, 16),
    ({'architecture': {'space_to_depth_block_size': 2}}, 8),
  ],
)
def test_what_divides_has_no_problem(settings, num_replicas):
  found = _check(**settings)
  assert found.problems == []
  assert found.num_replicas == num_replicas
  assert any(str(num_replicas) in value for _, value in found.rows)


@pytest.mark.parametrize(
  'settings, start, also',
  [
    (
      {'train': {'train_batch_size': 30}},
      'train.train_batch_size: 30 images',
      'such as 24',
    ),
    (
      {'train': {'train_batch_size': 4}},
      'train.train_batch_size: 4 images',
      'such as 8',
    ),
    (
      {'eval': {'eval_batch_size': 12}},
      'eval.eval_batch_size: 12 images',
      '8 replicas',
    ),
    (
      {'train': {'num_cores_per_replica': 2}},
      'train.input_partition_dims: null',
      "[[1, 2, 1, 1], 'None']",
    ),
    (
      {'train': {**_PARTED, 'input_partition_dims': [[1, 4, 1, 1], 'None']}},
      'train.input_partition_dims: [1, 4, 1, 1] makes 4 parts',
      'num_cores_per_replica',
    ),
    (
      {'train': {**_PARTED, 'input_partition_dims': [[2, 1, 1, 1], 'None']}},
      'train.input_partition_dims: [2, 1, 1, 1] parts the batch',
      'first and the last',
    ),
    (
      {'train': {**_PARTED, 'input_partition_dims': [[1, 2], 'None']}},
      'train.input_partition_dims: [1, 2] has to be four counts',
      'height',
    ),
    (
      {'architecture': {'space_to_depth_block_size': 3}},
      'architecture.space_to_depth_block_size: blocks of 3',
      '640 x 640',
    ),
  ],
)
def test_each_problem_names_its_key(settings, start, also):
  (problem,) = _check(**settings).problems
  assert problem.startswith(start)
  assert also in problem


def test_image_height_that_does_not_part():
  (problem,) = _check(
    retinanet_parser={'output_size': [60, 64]},
    architecture={'min_level': 2, 'max_level': 2},
    train={
      'num_cores_per_replica': 8,
      'input_partition_dims': [[1, 8, 1, 1], 'None'],
    },
  ).problems
  assert 'height of the images, 60 pixels' in problem
  assert 'retinanet_parser.output_size' in problem


def test_all_problems_are_found_at_once():
  found = _check(
    train={**_PARTED, 'train_batch_size': 30},
    eval={'eval_batch_size': 5},
    architecture={'space_to_depth_block_size': 3},
  )
  assert [problem.split(':')[0] for problem in found.problems] == [
    'train.train_batch_size',
    'eval.eval_batch_size',
    'architecture.space_to_depth_block_size',
    'train.input_partition_dims',
  ]


@pytest.mark.parametrize(
  'num_cores, per_replica, start, also',
  [
    (9, 3, 'train.num_cores_per_replica: 3 cores', 'allowed are 1, 2, 4'),
    (9, 2, 'train.num_shards: 9 cores', 'multiple of 2 with --num_cores'),
  ],
)
def test_cores_that_do_not_make_replicas(num_cores, per_replica, start, also):
  found = _check(
    num_cores=num_cores,
    train={
      'num_cores_per_replica': per_replica,
      'input_partition_dims': [[1, 1, per_replica, 1], 'None'],
    },
  )
  assert found.problems[0].startswith(start)
  assert also in found.problems[0]
