"""Plan of a run, as a table."""

from typing import Any, Dict, Iterator, List, Optional, Tuple

import rich.table

from configs import factory, presets
from executor import global_batch, run_start, training_set
from executor import hardware as hardware_lib
from modeling.architecture import batch_norm


def plan_table(
  params: Any,
  hardware: hardware_lib.Hardware,
  mode: str,
  start: Optional[run_start.Start] = None,
  learned: Optional[Dict[str, str]] = None,
) -> rich.table.Table:
  """Returns the table that is printed before the first step.

  Args:
    params: the whole config.
    hardware: what the run computes on.
    mode: train, eval or train_and_eval.
    start: of a training, if its files were looked at.
    learned: what its files hold, of `training_set.look`, if they were read.
  """
  table = rich.table.Table(
    title=f'Plan: {mode}', show_header=False, title_justify='left'
  )
  rows = [
    ('model', _model(params)),
    ('image size', _image_size(params)),
    ('devices', hardware.description),
    ('precision', _precision(params)),
    ('evaluation batch', _evaluation_batch(params, hardware)),
  ]
  if mode == 'eval':
    classes = _classes(params)
    rows += [('classes', classes)] if classes else []
    rows.append(('checkpoints', f'of {params.model_dir}'))
  else:
    if start:
      rows.append(('weights', _weights(params, start)))
    rows.extend(_training_rows(params, hardware))
  for row in rows:
    table.add_row(*row)
  if mode != 'eval':
    table.add_section()
    for row in _decisive_rows(params, start, learned or {}):
      table.add_row(*row)
  return table


def _decisive_rows(
  params: Any,
  start: Optional[run_start.Start],
  learned: Dict[str, str],
) -> Iterator[Tuple[str, str]]:
  """What decides whether a training can work."""
  yield 'classes', learned.get('classes') or _classes(params)
  if start:
    more = f'; {learned["images"]}' if 'images' in learned else ''
    yield 'training images', _images(params, start) + more
  for name in ('objects', 'anchors'):
    if name in learned:
      yield name, learned[name]
  if params.architecture.pre_parser:
    pattern = params.train.pre_parser_dataset.file_pattern
    pasted = f'objects of {pattern}' if pattern else 'objects of other images'
    yield 'copy-paste', f'{pasted}, not counted above'
  yield 'learning rate', _learning_rate(params.train) + _rate_of_preset(params)


def _model(params: Any) -> str:
  architecture = params.architecture
  parts = f'{params.type}: {architecture.backbone}'
  keys = {key.path: key for key in factory.declared_keys(params.type)}
  neck = keys.get('architecture.multilevel_features')
  if neck and not neck.no_effect:
    parts += (
      f' + {architecture.multilevel_features}, levels '
      f'{architecture.min_level}-{architecture.max_level}'
    )
  return f'{parts}, {architecture.num_classes} classes with background'


def _training_rows(
  params: Any, hardware: hardware_lib.Hardware
) -> List[Tuple[str, str]]:
  return [
    ('training batch', _training_batch(params, hardware)),
    *(('memory', text) for text in _memory_saving(params.train)),
    ('batch norm', _batch_norm(params, hardware)),
    (
      'steps',
      f'{params.train.total_steps} in all, {params.train.optimizer.type} '
      'optimizer',
    ),
    ('loss', _loss(params)),
    (
      'checkpoints',
      f'{params.model_dir}: every {params.train.save_checkpoint_seconds} s '
      f'and at the end, the last {params.train.keep_checkpoints} kept',
    ),
  ]


def _training_batch(params: Any, hardware: hardware_lib.Hardware) -> str:
  text = str(global_batch.batch_of(params, hardware, is_training=True))
  base = params.train.learning_rate.base_batch_size
  if base in (None, params.train.train_batch_size):
    return text
  return f'{text}; learning rate of a batch of {base} (--scale_learning_rate)'


def _memory_saving(train: Any) -> List[str]:
  """What is on, each in some words."""
  texts = []
  if train.gradient_accumulation_steps > 1:
    texts.append('gradients of the parts added up before a step')
  if train.recompute_grad:
    texts.append('activations computed again in the backward pass')
  return texts


def _classes(params: Any) -> str:
  """In words, if they have names."""
  names = [
    '{} {}'.format(*item) for item in run_start.class_names(params).items()
  ]
  more = len(names) - training_set.SHOWN_CLASSES
  return ', '.join(names[: training_set.SHOWN_CLASSES]) + (
    f' and {more} more' if more > 0 else ''
  )


def _loss(params: Any) -> str:
  weights = [
    f'{key} {value:g}'
    for key, value in params.leaves()
    if key.endswith('_loss_weight')
  ]
  decay = f'weight decay {params.train.l2_weight_decay:g}'
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
  return f'{start.num_images} in {files}: {start.num_epochs(params):.1f} epochs'


def _weights(params: Any, start: run_start.Start) -> str:
  if start.step:
    return f'of step {start.step}, which training goes on from'
  path = params.train.checkpoint.path
  if path:
    return f'warm start from {path}'
  return 'FROM SCRATCH, random (train.checkpoint.path is not set)'


def _learning_rate(settings: Any) -> str:
  schedule = settings.learning_rate
  parts = [f'{schedule.init_learning_rate:g}']
  if schedule.warmup_steps:
    parts = [
      f'from {schedule.warmup_learning_rate:g} up to '
      f'{schedule.init_learning_rate:g} in {schedule.warmup_steps} steps'
    ]
  if schedule.type == 'step':
    changes = zip(schedule.learning_rate_levels, schedule.learning_rate_steps)
    parts += ['{:g} from step {}'.format(*change) for change in changes]
  else:
    parts.append(f'{schedule.type} to step {settings.total_steps}')
  return ', '.join(parts)


def _rate_of_preset(params: Any) -> str:
  """That of the preset most like the config, for its batch and this one."""
  nearest = presets.nearest(params)
  if not nearest:
    return ''
  preset, train = nearest[0], nearest[1].train
  rate, batch = train.learning_rate.init_learning_rate, train.train_batch_size
  text = f'\n{preset.name} has {rate:g} for a batch of {batch}'
  if batch == params.train.train_batch_size:
    return text
  scaled = rate * params.train.train_batch_size / batch
  return f'{text}, {scaled:.3g} in proportion'


def _precision(params: Any) -> str:
  if params.architecture.use_bfloat16:
    return 'bfloat16, losses in float32'
  if params.train.mixed_precision:
    return 'float32; training in float16 where that is safe'
  return 'float32'


def _evaluation_batch(params: Any, hardware: hardware_lib.Hardware) -> str:
  master = params.platform.eval_master
  batch = global_batch.batch_of(params, hardware, is_training=False)
  if hardware.kind != hardware_lib.TPU:
    place = ' on one device' if hardware.num_replicas > 1 else ''
    return str(batch) + place
  if not master:
    return str(batch)
  return '{} images on {}'.format(
    batch.size,
    'the CPU of this machine'
    if master == hardware_lib.LOCAL
    else f'the TPU {master}',
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
    return (
      'statistics of each replica (more than '
      f'{batch_norm.MAX_UNSYNCED_TPU_REPLICAS} would share them)'
    )
  return f'statistics of all {hardware.num_replicas} replicas (synchronised)'
