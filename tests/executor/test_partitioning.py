"""How images are parted among the cores of a replica."""

import pytest

from executor import partitioning
from tests import golden_numbers


def _params(dims, num_cores, transpose=False, block=1):
  return golden_numbers.make_params(
    {
      'architecture': {'space_to_depth_block_size': block},
      'train': {
        'input_partition_dims': dims,
        'num_cores_per_replica': num_cores,
        'transpose_input': transpose,
      },
    }
  )


@pytest.mark.parametrize(
  'transpose,block,want',
  [
    (False, 1, [1, 4, 2, 1]),
    # [height, width, channels, batch]
    (True, 1, [4, 2, 1, 1]),
    # [height, width, batch, channels]
    (True, 2, [4, 2, 1, 1]),
  ],
)
def test_parts_are_in_the_order_of_the_images(transpose, block, want):
  for labels in ([], ['None'], [None]):
    params = _params([[1, 4, 2, 1], *labels], 8, transpose, block)
    assert partitioning.image_parts(params) == [1, 4, 2, 1]
    assert partitioning.input_partition_dims(params) == [want, None]


def test_batches_may_be_parted_too():
  for block, want in ((1, [2, 1, 1, 4]), (2, [2, 1, 4, 1])):
    params = _params([[4, 2, 1, 1]], 8, True, block)
    assert partitioning.input_partition_dims(params) == [want, None]


@pytest.mark.parametrize('num_cores', [None, 1])
def test_a_replica_of_one_core_has_whole_images(num_cores):
  params = _params(None, num_cores)
  assert partitioning.image_parts(params) is None
  assert partitioning.input_partition_dims(params) is None
