"""Settings that save memory are refused where they cannot work."""

import pytest

from executor import hardware, memory
from tests import golden_numbers
from utils import errors

_CPU = hardware.Hardware(hardware.CPU, 1, 'CPU')
_TWO_GPUS = hardware.Hardware(hardware.GPU, 2, '2 GPUs')


def _params(train, **blocks):
  return golden_numbers.make_params({'train': train, **blocks})


def test_nothing_is_on_by_default():
  params = _params({})
  for found in (_CPU, _TWO_GPUS):
    memory.check(params, found)
    assert memory.describe(params, found) == []


def test_parts_have_to_divide_what_a_device_has():
  params = _params({'train_batch_size': 8, 'gradient_accumulation_steps': 8})
  memory.check(params, _CPU)
  with pytest.raises(errors.ConfigError) as info:
    memory.check(params, _TWO_GPUS)
  message = str(info.value)
  assert message.startswith('train.gradient_accumulation_steps: 8 ')
  assert 'the 4 images' in message
  assert 'train.train_batch_size: 8' in message


def test_parts_are_described():
  params = _params({'train_batch_size': 8, 'gradient_accumulation_steps': 2})
  (text,) = memory.describe(params, _TWO_GPUS)
  assert text.startswith('gradients of 2 parts of 2 images')


def test_recomputation_is_described_and_refused_on_a_tpu():
  params = _params({'recompute_grad': True})
  memory.check(params, _TWO_GPUS)
  (text,) = memory.describe(params, _TWO_GPUS)
  assert 'computed again' in text
  with pytest.raises(errors.ConfigError, match='train.recompute_grad: true'):
    memory.check(params, hardware.Hardware(hardware.TPU, 8, '8 cores'))


@pytest.mark.parametrize(
  'train', [{'gradient_accumulation_steps': 2}, {'recompute_grad': True}]
)
def test_shared_statistics_of_gpus_are_refused(train):
  params = _params(train, batch_norm_activation={'use_sync_bn': True})
  with pytest.raises(errors.ConfigError, match='use_sync_bn'):
    memory.check(params, _TWO_GPUS)
  memory.check(params, _CPU)
  params.override({'batch_norm_activation': {'batch_norm_trainable': False}})
  memory.check(params, _TWO_GPUS)
