"""Settings that save memory in training: which work where, and in words."""

from typing import Any, List

from executor import hardware as hardware_lib
from modeling.training import accumulation
from utils import errors


def check(params: Any, hardware: hardware_lib.Hardware) -> None:
  """Raises ConfigError if such a setting cannot work on the hardware."""
  num_parts = params.train.gradient_accumulation_steps
  if num_parts > 1:
    _check_parts(params, hardware, num_parts)
    _refuse_shared_statistics(
      'train.gradient_accumulation_steps', num_parts, params, hardware
    )
  if params.train.recompute_grad:
    _refuse_shared_statistics('train.recompute_grad', True, params, hardware)
    if hardware.kind == hardware_lib.TPU:
      raise errors.ConfigError(
        'train.recompute_grad: true saves nothing on a TPU, where XLA merges '
        'what is computed twice. Set it to false; '
        'train.gradient_accumulation_steps saves memory there, too.'
      )
  if params.train.mixed_precision and hardware.kind != hardware_lib.GPU:
    raise errors.ConfigError(
      'train.mixed_precision: true is for GPUs, and this run is on {}. Set it '
      'to false{}.'.format(
        hardware.description,
        '; a TPU has architecture.use_bfloat16'
        if hardware.kind == hardware_lib.TPU
        else '',
      )
    )


def _check_parts(
  params: Any, hardware: hardware_lib.Hardware, num_parts: int
) -> None:
  batch_size = params.train.train_batch_size
  accumulation.check_divides(
    num_parts,
    batch_size // hardware.num_replicas,
    'that one of {} devices ({}) has of train.train_batch_size: {}'.format(
      hardware.num_replicas, hardware.description, batch_size
    ),
  )


def _refuse_shared_statistics(
  key: str, value: Any, params: Any, hardware: hardware_lib.Hardware
) -> None:
  """The exchange between replicas can stand in no loop, and is not repeated."""
  settings = params.batch_norm_activation
  if (
    hardware.kind != hardware_lib.TPU
    and hardware.num_replicas > 1
    and settings.use_sync_bn
    and settings.batch_norm_trainable
  ):
    raise errors.ConfigError(
      '{}: {!r} does not go with batch_norm_activation.use_sync_bn: true on '
      '{}. Set one of them to its default.'.format(
        key, value, hardware.description
      )
    )


def describe(params: Any, hardware: hardware_lib.Hardware) -> List[str]:
  """What is on, each in some words; empty if nothing is."""
  texts = []
  num_parts = params.train.gradient_accumulation_steps
  if num_parts > 1:
    size = params.train.train_batch_size // hardware.num_replicas // num_parts
    texts.append(
      'gradients of {} parts of {} {} added up before a step'.format(
        num_parts, size, 'image' if size == 1 else 'images'
      )
    )
  if params.train.recompute_grad:
    texts.append('activations computed again in the backward pass')
  return texts
