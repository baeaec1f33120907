"""Whether the host feeds the cores fast enough: a trial of the input."""

import multiprocessing
import tempfile
import time
from typing import Any, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from dataloader import input_reader, record_files
from executor import failures
from executor.preflight import (
  device_bytes,
  kept_activations,
  sample_records,
  tpu_graph,
)
from modeling import model_stats
from utils import errors, mode_keys

_TRIAL_SECONDS = 10.0
# By then a trial of small images is as exact as it gets.
_MAX_TRIAL_IMAGES = 2000

# Google's figure for a Cloud TPU v3-8 is 420 teraflops, on 8 cores.
PEAK_FLOPS = 420e12 / 8
# Assumed: what detectors reach of it.
UTILISATION = 0.4
# A step is a forward pass and a backward pass of twice its cost.
_PASSES = 3


class Trial(NamedTuple):
  """What the input pipeline reached on this machine.

  Attributes:
    images_per_second: with all processors.
    num_cpus: processors of this machine.
    note: what was read.
  """

  images_per_second: float
  num_cpus: int
  note: str


class Demand(NamedTuple):
  """What the cores take.

  Attributes:
    images_per_second: over all cores.
    step_ms: length of a step.
    source: where the length is from.
  """

  images_per_second: float
  step_ms: float
  source: str


def bytes_per_image(graph: tpu_graph.TpuGraph) -> float:
  """Bytes that cross the infeed for one image with its labels."""
  total = sum(
    device_bytes.plain_bytes(tensor.shape.as_list(), tensor.dtype)
    for tensor in graph.infeed
  )
  return total / graph.replica_batch_size


def demand(
  params: Any, graph: tpu_graph.TpuGraph, step_time_ms: Optional[float]
) -> Demand:
  """Images that training takes in a second.

  Args:
    params: the whole config.
    graph: of training.
    step_time_ms: measured length of a step; None: from the network's cost.
  """
  source = '--step_time_ms'
  if step_time_ms is None:
    forward = [
      op for op in graph.operations if not kept_activations.is_backward(op)
    ]
    with graph.graph.as_default():
      multiply_adds = model_stats.count_multiply_adds(1, forward)
    cores_per_replica = params.train.num_cores_per_replica or 1
    # The graph of a part is there once, and computed for each.
    multiply_adds *= params.train.gradient_accumulation_steps
    flops = 2.0 * _PASSES * multiply_adds / cores_per_replica
    step_time_ms = flops / (PEAK_FLOPS * UTILISATION) * 1e3
    source = (
      'assumed: {:.1f} teraflops of a v3 core at {:.0%}; --step_time_ms gives '
      'a measured one'.format(PEAK_FLOPS / 1e12, UTILISATION)
    )
  batch = graph.num_replicas * graph.replica_batch_size
  return Demand(batch / step_time_ms * 1e3, step_time_ms, source)


def try_input(params: Any, batch_size: int) -> Trial:
  """Reads training batches for ten seconds.

  Args:
    params: the whole config; without records that can be found, generated ones
      are read.
    batch_size: of one replica, images.

  Raises:
    UserError: a record cannot be used.
  """
  pattern = params.train.train_file_pattern
  try:
    files = record_files.find_files(pattern)
    note = '{} file{} of train.train_file_pattern'.format(
      len(files), '' if len(files) == 1 else 's'
    )
  except errors.DataError:
    note = '{} generated images of {} x {} pixels, since {}'.format(
      sample_records.NUM_RECORDS,
      sample_records.HEIGHT,
      sample_records.WIDTH,
      "train.train_file_pattern '{}' matches no file".format(pattern)
      if pattern
      else 'train.train_file_pattern is not set',
    )
    with tempfile.TemporaryDirectory() as directory:
      path = sample_records.write(directory)
      speed = _measure(params, path, batch_size)
  else:
    with failures.naming_bad_records(params, pattern):
      speed = _measure(params, pattern, batch_size)
  return Trial(speed, multiprocessing.cpu_count(), note)


def _measure(params: Any, pattern: str, batch_size: int) -> float:
  """Images per second once the pipeline runs."""
  with tf.Graph().as_default(), tf.Session() as session:
    input_fn = input_reader.InputFn(
      pattern, params, mode_keys.TRAIN, params.train.train_dataset_type
    )
    iterator = tf.data.make_initializable_iterator(
      input_fn({'batch_size': batch_size})
    )
    fetches = [tensor.op for tensor in tf.nest.flatten(iterator.get_next())]
    session.run(iterator.initializer)
    # What was made before the clock starts is not counted.
    for _ in range(2):
      session.run(fetches)
    start = time.perf_counter()
    seconds, num_images = 0.0, 0
    while seconds < _TRIAL_SECONDS and num_images < _MAX_TRIAL_IMAGES:
      session.run(fetches)
      num_images += batch_size
      seconds = time.perf_counter() - start
  return num_images / seconds
