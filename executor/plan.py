"""What a run is about to do, as a table for a person."""

from typing import Any, List, Optional, Tuple

import rich.table

from configs import factory
from executor import batches, run_start
from executor import hardware as hardware_lib
from modeling.architecture import batch_norm

_SHOWN_CLASSES = 20


def plan_table(
  params: Any,
  hardware: hardware_lib.Hardware,
  mode: str,
  start: Optional[run_start.Start] = None,
) -> rich.table.Table:
  """Returns the table that is printed before the first step.

  Args:
    params: the whole config.
    hardware: what the run computes on.
    mode: train, eval or train_and_eval.
    start: of a training, if its files were looked at.
  """
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
    *(('classes', text) for text in _classes(params)),
    ('image size', _image_size(params)),
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
    if start:
      rows.append(('training images', _images(params, start)))
      rows.append(('weights', _weights(params, start)))
    rows.extend(_training_rows(params, hardware))
  for row in rows:
    table.add_row(*row)
  return table


def _training_rows(
  params: Any, hardware: hardware_lib.Hardware
) -> List[Tuple[str, str]]:
  return [
    ('training batch', str(batches.training(params, hardware.num_replicas))),
    *(('memory', text) for text in _memory_saving(params.train)),
    ('batch norm', _batch_norm(params, hardware)),
    (
      'steps',
      '{} in all, {} optimizer'.format(
        params.train.total_steps, params.train.optimizer.type
      ),
    ),
    ('learning rate', _learning_rate(params.train)),
    ('loss', _loss(params)),
    (
      'checkpoints',
      '{}: every {} s and at the end, the last {} kept'.format(
        params.model_dir,
        params.train.save_checkpoint_seconds,
        params.train.keep_checkpoints,
      ),
    ),
  ]


def _memory_saving(train: Any) -> List[str]:
  """What is on, each in some words."""
  texts = []
  if train.gradient_accumulation_steps > 1:
    texts.append('gradients of the parts added up before a step')
  if train.recompute_grad:
    texts.append('activations computed again in the backward pass')
  return texts


def _classes(params: Any) -> List[str]:
  """In words, if they have names."""
  names = [
    '{} {}'.format(*item) for item in run_start.class_names(params).items()
  ]
  if not names:
    return []
  more = len(names) - _SHOWN_CLASSES
  return [
    ', '.join(names[:_SHOWN_CLASSES])
    + (' and {} more'.format(more) if more > 0 else '')
  ]


def _loss(params: Any) -> str:
  weights = [
    '{} {:g}'.format(key, value)
    for key, value in params.leaves()
    if key.endswith('_loss_weight')
  ]
  decay = 'weight decay {:g}'.format(params.train.l2_weight_decay)
  return ', '.join([*weights, decay])


def _image_size(params: Any) -> str:
  settings = factory.parser_settings(params)
  text = '{} x {} pixels'.format(*settings.output_size)
  scales = 1, 1
  if 'aug_scale_min' in settings:
    scales = settings.aug_scale_min, settings.aug_scale_max
  if scales != (1, 1):
    text += ', in training scaled by {:g} to {:g}'.format(*scales)
  return text


def _images(params: Any, start: run_start.Start) -> str:
  files = '{} file{}'.format(
    start.num_files, '' if start.num_files == 1 else 's'
  )
  if start.num_images is None:
    return files
  return '{} in {}: {:.1f} epochs'.format(
    start.num_images, files, start.num_epochs(params)
  )


def _weights(params: Any, start: run_start.Start) -> str:
  if start.step:
    return 'of step {}, which training goes on from'.format(start.step)
  path = params.train.checkpoint.path
  if path:
    return 'warm start from {}'.format(path)
  return 'FROM SCRATCH, random (train.checkpoint.path is not set)'


def _learning_rate(settings: Any) -> str:
  schedule = settings.learning_rate
  parts = ['{:g}'.format(schedule.init_learning_rate)]
  if schedule.warmup_steps:
    parts = [
      'from {:g} up to {:g} in {} steps'.format(
        schedule.warmup_learning_rate,
        schedule.init_learning_rate,
        schedule.warmup_steps,
      )
    ]
  if schedule.type == 'step':
    changes = zip(schedule.learning_rate_levels, schedule.learning_rate_steps)
    parts += ['{:g} from step {}'.format(*change) for change in changes]
  else:
    parts.append('{} to step {}'.format(schedule.type, settings.total_steps))
  return ', '.join(parts)


def _precision(params: Any) -> str:
  if params.architecture.use_bfloat16:
    return 'bfloat16, losses in float32'
  if params.train.mixed_precision:
    return 'float32; training in float16 where that is safe'
  return 'float32'


def _evaluation_batch(params: Any, hardware: hardware_lib.Hardware) -> str:
  master = params.platform.eval_master
  batch = batches.evaluation(params, hardware)
  if hardware.kind != hardware_lib.TPU:
    place = ' on one device' if hardware.num_replicas > 1 else ''
    return str(batch) + place
  if not master:
    return str(batch)
  return '{} images on {}'.format(
    batch.size,
    'the CPU of this machine'
    if master == hardware_lib.LOCAL
    else 'the TPU {}'.format(master),
  )


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
