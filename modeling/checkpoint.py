"""Checkpoints as files: step, latest, damage, and whether they fit."""

import logging
import os
import re
import time
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

from configs import resolver
from modeling import checkpoint_state
from modeling.training import optimizers
from utils import errors

_log = logging.getLogger(__name__)

_INDEX = '.index'
_MAX_NAMES = 3
_NUM_EXAMPLES = 5
_POLL = 1.0  # seconds
# What the files of a checkpoint have after its name.
FILE_ENDING = re.compile(r'\.(index|meta|data-\d{5}-of-\d{5})$')


class UnreadableCheckpointError(errors.UserError):
  """The files of a checkpoint are absent or damaged."""


def step_of(prefix: str) -> int:
  """Step in the name of a checkpoint (`model.ckpt-1000`), 0 if none."""
  match = re.search(r'-(\d+)$', os.path.basename(prefix))
  return int(match.group(1)) if match else 0


def exists(prefix: str) -> bool:
  """Whether there are files of a checkpoint, of either format, or of a part."""
  # The graph alone is no checkpoint.
  if any(not path.endswith('.meta') for path in files_of(prefix)):
    return True
  try:
    return tf.train.checkpoint_exists(prefix)
  except tf.errors.NotFoundError:  # Not even the directory is there.
    return False


def find_all(directory: str) -> List[str]:
  """Prefixes of a directory's checkpoints with an index, oldest step first."""
  prefixes = [
    os.path.join(directory, name[: -len(_INDEX)])
    for name in names_in(directory)
    if name.endswith(_INDEX)
  ]
  return sorted(prefixes, key=lambda prefix: (step_of(prefix), prefix))


def find_latest(directory: str) -> Optional[str]:
  """Returns the prefix of the checkpoint that a run goes on from.

  It is the one that the file `checkpoint` names, by its name in this directory,
  so that a directory may be moved and a person may go back to an older one. If
  that file is lost or damaged, or what it names was deleted, it is the newest
  of the directory. Only then a path to another directory counts.

  Args:
    directory: need not exist.

  Returns:
    The prefix, whose files may be damaged (see `check_intact`); None if there
    is no checkpoint.

  Raises:
    UnreadableCheckpointError: there is none, but something of one.
  """
  named = checkpoint_state.named(directory)
  here = named and os.path.join(directory, os.path.basename(named))
  if here and exists(here):
    return here
  found = find_all(directory)
  if found:
    return found[-1]
  if named and exists(named):
    return named
  # A run that is killed in its first save has nothing to lose.
  remains = [
    name
    for name in sorted(names_in(directory))
    if name == checkpoint_state.NAME
    or (FILE_ENDING.search(name) and step_of(FILE_ENDING.sub('', name)))
  ]
  if remains:
    raise UnreadableCheckpointError(
      "The directory '{}' holds no checkpoint, but parts of one: {}. Copy what "
      'is missing, or delete them to start afresh.'.format(
        directory, ', '.join(remains[:_MAX_NAMES])
      )
    )
  return None


def resolve_checkpoint(path: str) -> str:
  """Returns the checkpoint prefix for a prefix, a file or a directory.

  Args:
    path: prefix such as `model.ckpt-1000`; one of its files, such as
      `model.ckpt-1000.index`; or a directory, of which the latest is taken.

  Raises:
    UserError: there is no checkpoint.
  """
  if tf.gfile.IsDirectory(path):
    latest = find_latest(path)
    if latest:
      return latest
    raise errors.UserError(
      f"The directory '{path}' holds no checkpoint. Give a checkpoint prefix "
      'such as model.ckpt-1000, or the directory that contains it.'
    )
  # In this order, since TensorFlow takes any file for a checkpoint of its first
  # format.
  for prefix in (FILE_ENDING.sub('', path), path):
    if exists(prefix):
      return prefix
  raise errors.UserError(
    f"The checkpoint '{path}' does not exist. Give the path up to the step "
    '(model.ckpt-1000), or a directory that holds a checkpoint.'
  )


def config_beside(prefix: str, model: Optional[str]) -> str:
  """Returns the path of the `params.yaml` that training left.

  Args:
    prefix: of the checkpoint's files.
    model: with it, '' is returned if there is no such file: the model's
      defaults.

  Raises:
    ConfigError: there is no file, and `model` is not given.
  """
  path = os.path.join(os.path.dirname(prefix), resolver.FILE_NAME)
  if tf.gfile.Exists(path):
    return path
  if model:
    _log.warning("No '%s': %s with its default parameters.", path, model)
    return ''
  raise errors.ConfigError(
    f"config_file: '' is empty and there is no '{path}' beside the checkpoint "
    f"'{prefix}'. Give the parameters that it was trained with as "
    '--config_file, or --model for the defaults of a model.'
  )


def stored_step(prefix: str) -> Optional[int]:
  """Global step in a checkpoint, else that of its name, else None."""
  reader = tf.train.load_checkpoint(prefix)
  if reader.has_tensor(tf.GraphKeys.GLOBAL_STEP):
    return int(reader.get_tensor(tf.GraphKeys.GLOBAL_STEP))
  return step_of(prefix) or None


def latest_step(directory: str) -> int:
  """Step of `find_latest`, 0 if there is none."""
  return step_of(find_latest(directory) or '')


def appearing(
  directory: str, min_interval: float, timeout: Optional[float]
) -> Iterator[str]:
  """Yields `find_latest` whenever it is another one.

  Args:
    directory: need not exist yet.
    min_interval: seconds from one to the next, at least.
    timeout: seconds to wait for each; None: no limit.
  """
  last = None
  start = time.monotonic()
  while True:
    latest = find_latest(directory)
    now = time.monotonic()
    if latest != last:
      last = latest
      yield latest
      time.sleep(max(0.0, now + min_interval - time.monotonic()))
      start = time.monotonic()
    elif timeout is not None and now - start > timeout:
      return
    else:
      time.sleep(_POLL)


def find_whole(prefix: str) -> Tuple[Optional[str], Dict[str, str]]:
  """Looks for a checkpoint all of whose values can be read.

  Args:
    prefix: where to begin.

  Returns:
    `prefix`, or the newest one of its directory that is not newer and is
    whole, or None; and by prefix what is wrong with those passed over.
  """
  damages: Dict[str, str] = {}
  others = [
    other
    for other in find_all(os.path.dirname(prefix))
    if other != prefix and step_of(other) <= step_of(prefix)
  ]
  for candidate in (prefix, *reversed(others)):
    damage = damage_of(candidate)
    if damage is None:
      return candidate, damages
    damages[candidate] = damage
  return None, damages


def check_intact(prefix: str) -> None:
  """Reads all values of a checkpoint, whose sums tell of any damage.

  Raises:
    UnreadableCheckpointError: it is damaged; names an older one that is not.
  """
  whole, damages = find_whole(prefix)
  if not damages:
    return
  raise UnreadableCheckpointError(
    "The checkpoint '{0}' cannot be read: {1}. It is damaged or not complete. "
    'Copy it anew, delete its files ({2}.*), {3}.'.format(
      prefix,
      damages[prefix],
      os.path.basename(prefix),
      f"or name '{whole}', which is intact"
      if whole
      else 'or start afresh; no older one here is intact',
    )
  )


def check_restorable(prefix: str, variables: Sequence[tf.Variable]) -> None:
  """Raises UserError unless a checkpoint holds all variables in their shapes.

  Args:
    prefix: of the checkpoint's files.
    variables: what would be restored from it.
  """
  check_intact(prefix)
  problems = _misfits(prefix, variables)
  if problems:
    raise errors.UserError(
      f"The checkpoint '{prefix}' is of another architecture: "
      f'{_told(problems, variables)}Give the params.yaml that was written '
      'beside it as --config_file, or the model_dir of a run of this '
      'architecture.'
    )


def check_resumable(
  model_dir: Optional[str], variables: Sequence[tf.Variable]
) -> None:
  """Raises UserError if `model_dir` holds a run of another architecture.

  A training has made sure that the checkpoint is whole, or has saved it.
  """
  latest = find_latest(model_dir) if model_dir else None
  problems = _misfits(latest, variables) if latest else []
  if problems:
    raise errors.UserError(
      f"model_dir '{model_dir}' holds a run of another architecture: "
      f'{_told(problems, variables, latest)}Use another model_dir, the '
      'params.yaml of that run as --config_file, or delete that run.'
    )


def check_has_loss_scale(model_dir: Optional[str]) -> None:
  """Raises ConfigError if `model_dir` holds a run without mixed precision."""
  latest = find_latest(model_dir) if model_dir else None
  if latest is None:
    return
  if tf.train.load_checkpoint(latest).has_tensor(optimizers.LOSS_SCALE):
    return
  raise errors.ConfigError(
    'train.mixed_precision: true cannot continue the run in model_dir '
    f"'{model_dir}', which was trained without. Set it to false, or take "
    f'another model_dir and start it from {latest} (train.checkpoint.path).'
  )


def _misfits(prefix: str, variables: Sequence[tf.Variable]) -> List[str]:
  """Returns a line for each variable that a checkpoint does not hold."""
  shapes = dict(tf.train.list_variables(prefix))
  differing, absent = [], []
  for variable in variables:
    name, shape = name_of(variable), variable.shape.as_list()
    if name not in shapes:
      absent.append(name + ': absent there')
    elif shapes[name] != shape:
      differing.append(f'{name}: {shape} here, {shapes[name]} there')
  return sorted(differing) + absent


def _told(
  problems: List[str], variables: Sequence[tf.Variable], prefix: str = ''
) -> str:
  return '{} of {} variables do not fit {}.\n  {}\n'.format(
    len(problems),
    len(variables),
    'its checkpoint ' + prefix if prefix else 'it',
    '\n  '.join(problems[:_NUM_EXAMPLES]),
  )


def name_of(variable: tf.Variable) -> str:
  """Returns the name that a checkpoint has for a variable."""
  # The op of a mirrored variable is that of the replica that asks.
  return variable.name.rsplit(':', 1)[0]


def names_in(directory: str) -> List[str]:
  """Names in a directory; none if it does not exist."""
  if not tf.gfile.IsDirectory(directory):
    return []
  return [name.rstrip('/') for name in tf.gfile.ListDirectory(directory)]


def files_of(prefix: str) -> List[str]:
  """Paths of the files of a checkpoint, those of a part of one too."""
  directory, name = os.path.split(prefix)
  return [
    os.path.join(directory, file)
    for file in names_in(directory)
    if file != name and FILE_ENDING.sub('', file) == name
  ]


def damage_of(prefix: str) -> Optional[str]:
  """Returns what is wrong with a checkpoint's files, or None."""
  try:
    if not tf.train.checkpoint_exists(prefix):
      return f'there is no {os.path.basename(prefix)}{_INDEX}'
    reader = tf.train.load_checkpoint(prefix)
    for name in reader.get_variable_to_shape_map():
      reader.get_tensor(name)
  except (tf.errors.OpError, ValueError) as error:
    return str(error).splitlines()[0].rstrip('.')
  return None
