"""What a run is about to do, as a table for a person."""

from typing import Any, List, Tuple

import rich.table

from executor import hardware as hardware_lib
from executor import memory
from modeling.architecture import batch_norm


def plan_table(
  params: Any, hardware: hardware_lib.Hardware, mode: str
) -> rich.table.Table:
  """Returns the table that is printed before the first step."""
  table = rich.table.Table(
    title='Plan: {}'.format(mode), show_header=False, title_justify='left'
  )
  architecture = params.architecture
  rows = [
    (
      'model',
      '{}: {} + {}, levels {}-{}, {} classes with background'.format(
        params.type,
        architecture.backbone,
        architecture.multilevel_features,
        architecture.min_level,
        architecture.max_level,
        architecture.num_classes,
      ),
    ),
    ('devices', hardware.description),
    (
      'precision',
      _precision(params),
    ),
    ('evaluation batch', _evaluation_batch(params, hardware)),
  ]
  if mode == 'eval':
    rows.append(('checkpoints', 'of {}'.format(params.model_dir)))
  else:
    rows.extend(_training_rows(params, hardware))
  for row in rows:
    table.add_row(*row)
  return table


def _training_rows(
  params: Any, hardware: hardware_lib.Hardware
) -> List[Tuple[str, str]]:
  rows = [
    ('training batch', _batch(params.train.train_batch_size, hardware)),
    *(('memory', text) for text in memory.describe(params, hardware)),
    ('batch norm', _batch_norm(params, hardware)),
    (
      'steps',
      '{} in all, {} optimizer, {} learning rate up to {:g}'.format(
        params.train.total_steps,
        params.train.optimizer.type,
        params.train.learning_rate.type,
        params.train.learning_rate.init_learning_rate,
      ),
    ),
    (
      'checkpoints',
      '{}: every {} s and at the end, the last {} kept'.format(
        params.model_dir,
        params.train.save_checkpoint_seconds,
        params.train.keep_checkpoints,
      ),
    ),
  ]
  if params.train.checkpoint.path:
    rows.append(('warm start', params.train.checkpoint.path))
  return rows


def _precision(params: Any) -> str:
  if params.architecture.use_bfloat16:
    return 'bfloat16, losses in float32'
  if params.train.mixed_precision:
    return 'float32; training in float16 where that is safe'
  return 'float32'


def _batch(size: int, hardware: hardware_lib.Hardware) -> str:
  text = '{} images'.format(size)
  if hardware.num_replicas > 1:
    text += ' over all replicas, {} on each of {}'.format(
      size // hardware.num_replicas, hardware.num_replicas
    )
  return text


def _evaluation_batch(params: Any, hardware: hardware_lib.Hardware) -> str:
  size = params.eval.eval_batch_size
  master = params.platform.eval_master
  if hardware.kind == hardware_lib.TPU and master:
    return '{} images on {}'.format(
      size,
      'the CPU of this machine'
      if master == hardware_lib.LOCAL
      else 'the TPU {}'.format(master),
    )
  if hardware.kind == hardware_lib.TPU or hardware.num_replicas == 1:
    return _batch(size, hardware)
  return '{} images on one device'.format(size)


def _batch_norm(params: Any, hardware: hardware_lib.Hardware) -> str:
  settings = params.batch_norm_activation
  if not settings.batch_norm_trainable:
    return 'frozen: moving statistics'
  if params.train.gradient_accumulation_steps > 1:
    return 'statistics of each part of the batch'
  if hardware.num_replicas == 1:
    return 'statistics of the batch'
  if not settings.use_sync_bn:
    return 'statistics of each replica'
  if (
    hardware.kind == hardware_lib.TPU
    and hardware.num_replicas <= batch_norm.MAX_UNSYNCED_TPU_REPLICAS
  ):
    return 'statistics of each replica (more than {} would share them)'.format(
      batch_norm.MAX_UNSYNCED_TPU_REPLICAS
    )
  return 'statistics of all {} replicas (synchronised)'.format(
    hardware.num_replicas
  )
