"""The directory of a run, made ready for a training that goes on there."""

import logging
import os
import re

import tensorflow.compat.v1 as tf

from modeling import checkpoint, checkpoint_copy, checkpoint_state

_log = logging.getLogger(__name__)

_DAMAGED = 'damaged'
# What is left of a save, or of a small file of a training, that was killed.
# Other processes may be writing other files.
_TEXT = (
  r'(checkpoint|params|training|train_model_stats|history|skipped_batches)'
)
_LEFTOVER = re.compile(
  r'((averages-)?model\.ckpt-\d+(_temp_|\.\S+\.(tmp|tempstate))\w+'
  rf'|{_TEXT}(\.\w+)?\.tmp\w+|\.({_TEXT}|trace_\d+)\.\d+(\.\w+)?)$'
)


def prepare(directory: str) -> None:
  """Makes TensorFlow restore `find_latest`, or the newest older whole one.

  The files of damaged ones that are passed over go to `directory/damaged`.

  Raises:
    UnreadableCheckpointError: none is whole; all stay where they are.
  """
  latest = checkpoint.find_latest(directory)
  if latest is None:
    return
  whole, damages = checkpoint.find_whole(latest)
  is_here = latest == os.path.join(directory, os.path.basename(latest))
  if whole is None or (damages and not is_here):
    checkpoint.check_intact(latest)
  for prefix, damage in damages.items():
    _log.warning(
      "'%s' is damaged (%s), so the run goes on from '%s'. The bad files are "
      "kept as '%s.*'.",
      *(prefix, damage, whole, _set_aside(prefix)),
    )
  state = os.path.join(directory, checkpoint_state.NAME)
  found = checkpoint.find_all(directory)
  if found and checkpoint.step_of(found[-1]) > checkpoint.step_of(whole):
    _log.warning(
      "'%s' names %s, so the run goes back to it and will replace newer ones, "
      'up to %s. Delete that file to go on from the newest.',
      state,
      os.path.basename(whole),
      os.path.basename(found[-1]),
    )
  named = checkpoint_state.named(directory)
  if named == whole:
    return
  if os.path.basename(named or '') != os.path.basename(latest):
    _log.warning(
      "'%s' is lost, damaged, or names what is not there. The run goes on from "
      '%s, the newest checkpoint.',
      state,
      os.path.basename(whole),
    )
  checkpoint_state.write(whole, checkpoint_state.listed(directory))


def remove_leftovers(directory: str) -> None:
  """Removes what saves that were killed have left in a directory."""
  for name in checkpoint.names_in(directory):
    if _LEFTOVER.match(name):
      path = os.path.join(directory, name)
      _log.info("Removing '%s' of a save that did not end.", path)
      if tf.gfile.IsDirectory(path):
        tf.gfile.DeleteRecursively(path)
      else:
        tf.gfile.Remove(path)


def remove_unfinished(prefix: str) -> None:
  """Removes what a save that failed has written."""
  remove_leftovers(os.path.dirname(prefix))
  if checkpoint.damage_of(prefix):
    for path in checkpoint.files_of(prefix):
      tf.gfile.Remove(path)


def _set_aside(prefix: str) -> str:
  """Moves the files of a checkpoint; returns its new prefix."""
  directory, name = os.path.split(prefix)
  damaged = os.path.join(directory, _DAMAGED)
  tf.gfile.MakeDirs(damaged)
  moved = checkpoint_copy.free_prefix(damaged, name)
  for path in checkpoint.files_of(prefix):
    tf.gfile.Rename(path, moved + checkpoint.FILE_ENDING.search(path).group())
  return moved
