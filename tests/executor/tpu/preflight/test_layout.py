import pytest

from configs import resolver
from executor.tpu.preflight import layout


def _check(num_cores=8, evaluates=True, **settings):
  train = {'train_batch_size': 64, **settings.pop('train', {})}
  params = resolver.resolve(
    params_override={'train': train, **settings},
    flags={'use_tpu': True, 'num_cores': num_cores},
    mode='tpu_preflight',
  ).params
  return layout.check_layout(params, evaluates)


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
    # One image for each replica.
    (
      {
        'num_cores': 32,
        'train': {
          'train_batch_size': 4,
          'num_cores_per_replica': 8,
          'input_partition_dims': [[1, 4, 2, 1], 'None'],
        },
      },
      4,
    ),
    # A batch can be parted, too: 16 images of each replica.
    ({'train': {**_PARTED, 'input_partition_dims': [[2, 1, 1, 1]]}}, 4),
    ({'train': {**_PARTED, 'gradient_accumulation_steps': 16}}, 4),
    # Batches that no TPU of the run reads.
    (
      {
        'eval': {'eval_batch_size': 5},
        'platform': {'eval_master': 'local'},
      },
      8,
    ),
    ({'eval': {'eval_batch_size': 5}, 'evaluates': False}, 8),
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
      {
        'train': {
          **_PARTED,
          'train_batch_size': 12,
          'input_partition_dims': [[2, 1, 1, 1], 'None'],
        }
      },
      'train.input_partition_dims: [2, 1, 1, 1] does not divide the images',
      '3 over 2. Change train.train_batch_size',
    ),
    (
      {'train': {**_PARTED, 'input_partition_dims': [[1, 1, 1, 2], 'None']}},
      'train.input_partition_dims: [1, 1, 1, 2] does not divide the channels',
      '3 over 2',
    ),
    (
      {'train': {'train_batch_size': 40, 'gradient_accumulation_steps': 2}},
      'train.train_batch_size: 40 images',
      '8 replicas in 2 parts each (train.gradient_accumulation_steps). Use a '
      'multiple of 16, such as 32',
    ),
    (
      {
        'eval': {'eval_batch_size': 12},
        'platform': {'eval_master': 'grpc://10.0.0.9:8470'},
      },
      'eval.eval_batch_size: 12 images',
      '8 replicas',
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
  assert 'does not divide the height into equal parts: 60 over 8' in problem
  assert 'retinanet_parser.output_size' in problem


def test_all_problems_are_found_at_once():
  found = _check(
    train={
      **_PARTED,
      'train_batch_size': 30,
      'input_partition_dims': [[1, 1, 1, 2]],
    },
    eval={'eval_batch_size': 5},
  )
  assert [problem.split(':')[0] for problem in found.problems] == [
    'train.train_batch_size',
    'eval.eval_batch_size',
    'train.input_partition_dims',
  ]


def test_batches_become_such_as_divide():
  params = resolver.resolve(
    params_override={
      'train': {
        'train_batch_size': 30,
        'gradient_accumulation_steps': 3,
        **_PARTED,
      },
      'eval': {'eval_batch_size': 5},
    },
    flags={'use_tpu': True},
    mode='tpu_preflight',
  ).params
  changed = layout.with_batches_that_divide(params)
  assert changed.train.train_batch_size == 24
  assert changed.eval.eval_batch_size == 8
  assert params.train.train_batch_size == 30
