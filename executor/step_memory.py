"""Memory that a training step takes on a CPU: an estimate from its graph."""

import collections
import logging
from typing import Any, Dict

import psutil
import tensorflow.compat.v1 as tf

from configs import factory
from utils import errors

_log = logging.getLogger(__name__)

# Fitted to the peaks of 14 runs, see docs/memory.md: the program itself; what a
# step holds of an image that is being read; copies of variables while they are
# initialised and saved; what the C library keeps of freed activations.
_PROGRAM, _READ_IMAGE = 0.5e9, 9e6
_OF_VARIABLES, _OF_STEP = 2.7, 1.14
# Of the memory, for the batch that an error proposes.
_SAFE_SHARE = 0.8

_LIMIT_FILES = (
  '/sys/fs/cgroup/memory.max',
  '/sys/fs/cgroup/memory/memory.limit_in_bytes',
)
_MADE_BEFORE = frozenset(['Const', 'VarHandleOp', 'VariableV2'])
# The same memory under another shape or name.
_VIEWS = frozenset(
  [
    *('Enter', 'Exit', 'ExpandDims', 'Identity', 'Merge', 'NextIteration'),
    *('IdentityN', 'PreventGradient', 'Reshape', 'Squeeze', 'StopGradient'),
    'Switch',
  ]
)


class MemoryHook(tf.train.SessionRunHook):
  """Says what a step will take of the machine, before anything is allocated.

  Args:
    params: the whole config.

  Raises:
    ConfigError: in `begin`, a step takes more than the machine has.
  """

  def __init__(self, params: Any):
    self._params = params
    self._is_checked = False

  def begin(self):
    # Training goes on after each evaluation.
    if not self._is_checked:
      self._is_checked = True
      check(self._params, tf.get_default_graph(), of_machine())


def check(params: Any, graph: tf.Graph, available: int) -> None:
  """Logs the memory of a training step; ConfigError if it is not there.

  Args:
    params: the whole config.
    graph: of a training step on one device.
    available: bytes.
  """
  batch_size = params.train.train_batch_size
  with graph.as_default():
    fixed = _PROGRAM + _OF_VARIABLES * sum(map(_bytes, tf.global_variables()))
    # As large as the weights, whatever the batch.
    gradients = _OF_STEP * sum(map(_bytes, tf.trainable_variables()))
  total = fixed + _OF_STEP * largest(graph) + _READ_IMAGE * batch_size
  fixed += gradients
  text = (
    f'about {total / 2**30:.1f} GB, and this machine has '
    f'{available / 2**30:.1f} GB'
  )
  if total <= available:
    _log.info('Memory of a training step: %s.', text)
    return
  fits = int((_SAFE_SHARE * available - fixed) / (total - fixed) * batch_size)
  fits -= fits % params.train.gradient_accumulation_steps
  raise errors.ConfigError(
    'train.train_batch_size: a training step of {} images of {} x {} pixels '
    'takes {}. {}'.format(
      batch_size,
      *factory.parser_settings(params).output_size,
      text,
      f'Set it to {fits} or less (and the learning rate in proportion), or see '
      'docs/memory.md.'
      if fits > 0
      else (
        'Not even one image fits: set '
        f'{params.architecture.parser}.output_size lower, or take a smaller '
        'network, as configs/yaml/small_cpu.yaml does.'
      ),
    )
  )


def of_machine() -> int:
  """Bytes of memory of this machine, or of the container that limits it."""
  found = [psutil.virtual_memory().total]
  for path in _LIMIT_FILES:
    try:
      with open(path) as f:
        found.append(int(f.read()))
    except (OSError, ValueError):
      # Not of this kind of machine, or 'max'.
      continue
  return min(found)


def largest(graph: tf.Graph) -> int:
  """Bytes of the tensors that are alive at once, at most, in a training step.

  Operations are taken in the order in which they were made, which is that of
  the forward pass, the backward pass and the optimizer; the body of a loop
  once. A tensor lives until its last reader has run.
  """
  # Tensors by identity: they hash slowly, and a list of consumers takes long.
  operations = [
    (op.type, list(map(id, op.inputs)), op.outputs)
    for op in graph.get_operations()
    if op.type not in _MADE_BEFORE
  ]
  reads = collections.Counter(key for _, keys, _ in operations for key in keys)
  buffers: Dict[int, int] = {}
  readers: Dict[int, int] = collections.Counter()
  sizes: Dict[int, int] = {}
  alive = most = 0
  for kind, inputs, outputs in operations:
    owners = [buffers[key] for key in inputs if key in buffers]
    for i, output in enumerate(outputs):
      owner = id(output)
      if kind in _VIEWS and owners:
        owner = owners[min(i, len(owners) - 1)]
      else:
        sizes[owner] = _bytes(output)
        alive += sizes[owner]
      buffers[id(output)] = owner
      readers[owner] += reads[id(output)]
    most = max(most, alive)
    for owner in owners:
      readers[owner] -= 1
    for owner in {*owners, *(buffers[id(t)] for t in outputs)}:
      if readers[owner] <= 0:
        alive -= sizes.pop(owner, 0)
  return most


def _bytes(tensor: Any) -> int:
  """Of a tensor or variable; 0 of what holds no numbers."""
  dtype = tensor.dtype.base_dtype
  is_number = dtype.is_floating or dtype.is_integer or dtype.is_bool
  if not is_number or not tensor.shape.is_fully_defined():
    return 0
  return tensor.shape.num_elements() * dtype.size
