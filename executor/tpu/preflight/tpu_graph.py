"""Graphs as a TPU would be given them."""

import contextlib
import tempfile
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.tpu import topology, tpu_system_metadata
from tensorflow.python.util import deprecation
from tensorflow_estimator.python.estimator.tpu import error_handling

from configs import params_dict
from dataloader import input_reader
from executor import estimator_factory, evaluation
from executor import hardware as hardware_lib
from modeling import model_builder
from utils import errors, mode_keys

TRAIN = 'train'
EVAL = 'eval'
MODES = (TRAIN, EVAL)

_ADDRESS = 'tpu.invalid:8470'
_CLUSTER_ATTRIBUTE = '_tpu_replicate'


class TpuGraph(NamedTuple):
  """The graph of one mode, as `TPUEstimator` builds it.

  Attributes:
    graph: all of it, host side included.
    operations: those inside the computation of one replica, in the order in
      which they were made. In training they are the body of the loop over
      `train.iterations_per_loop` steps and the loop itself.
    infeed: what each replica takes from its host for a step, images first.
    num_replicas: copies of the computation.
    replica_batch_size: images of a step of one replica.
  """

  graph: tf.Graph
  operations: List[tf.Operation]
  infeed: List[tf.Tensor]
  num_replicas: int
  replica_batch_size: int


def build(params: Any, mode: str) -> TpuGraph:
  """Builds the graph of one mode.

  It is `TPUEstimator`'s own, of the estimator that a run makes, on a TPU that
  is made up: `train.num_shards` cores, 8 on each host, of which evaluation uses
  those of one host. Nothing is read and nothing is written: shapes come from
  the parser, and no checkpoint is looked for.

  Args:
    params: the whole config, with `use_tpu`.
    mode: 'train', or 'eval', what scores checkpoints.

  Raises:
    ConfigError: the cores make no replicas.
    UserError: what `TPUEstimator` or the model refuses, and why.
  """
  if mode not in MODES:
    raise ValueError('{!r} is none of {}.'.format(mode, ', '.join(MODES)))
  if not params.use_tpu:
    raise errors.ConfigError(
      'use_tpu: false, but a graph for a TPU is wanted. Give --use_tpu.'
    )
  estimator_mode, input_mode = _modes(params, mode)
  graph = tf.Graph()
  with tempfile.TemporaryDirectory() as directory:
    # Weights are no part of the computation.
    params = params_dict.with_overrides(
      params, {'model_dir': directory, 'train.checkpoint.path': ''}
    )
    estimator = _estimator(params, is_training=mode == TRAIN)
    infeed = _Infeed(params, input_mode)
    with graph.as_default(), _quiet_tensorflow():
      # As in a run, whose draws follow from it.
      tf.set_random_seed(params.train.seed)
      try:
        _call_model_fn(estimator, infeed, estimator_mode)
      except errors.UserError:
        raise
      except (ValueError, TypeError, RuntimeError) as error:
        raise errors.UserError(
          f'The graph of mode {mode!r} cannot be built for a TPU: {error}'
        ) from error
  operations = [
    op
    for op in graph.get_operations()
    if _CLUSTER_ATTRIBUTE in op.node_def.attr
  ]
  (dequeue,) = [op for op in operations if op.type == 'InfeedDequeueTuple']
  with estimator._ctx.with_mode(estimator_mode) as context:
    num_replicas = context.num_replicas
  return TpuGraph(
    graph=graph,
    operations=operations,
    infeed=list(dequeue.outputs),
    num_replicas=num_replicas,
    replica_batch_size=infeed.batch_size,
  )


def _modes(params: Any, mode: str) -> Tuple[str, str]:
  """Returns the mode of the estimator and that of its input."""
  if mode == TRAIN:
    return tf.estimator.ModeKeys.TRAIN, mode_keys.TRAIN
  _, input_mode = evaluation.evaluator_for(params)
  if input_mode == mode_keys.EVAL:
    return tf.estimator.ModeKeys.EVAL, input_mode
  return tf.estimator.ModeKeys.PREDICT, input_mode


class _Resolver(tf.distribute.cluster_resolver.SimpleClusterResolver):
  """Finds a TPU that does not exist."""

  def __init__(self):
    super().__init__(
      tf.train.ClusterSpec({'worker': [_ADDRESS]}),
      master='grpc://' + _ADDRESS,
    )


def _estimator(params: Any, is_training: bool) -> tf.estimator.tpu.TPUEstimator:
  """The estimator of a run, told about the TPU that it would ask."""
  estimator = estimator_factory.make_estimator(
    params,
    model_builder.ModelFn(params),
    hardware_lib.tpu(params, is_training)._replace(resolver=_Resolver()),
    is_training=is_training,
  )
  num_cores = (
    params.train.num_shards
    if is_training
    else hardware_lib.num_evaluating_cores(params)
  )
  num_hosts = -(-num_cores // hardware_lib.CORES_PER_HOST)
  system = tpu_system_metadata._TPUSystemMetadata(
    num_cores=num_cores,
    num_hosts=num_hosts,
    num_of_cores_per_host=min(num_cores, hardware_lib.CORES_PER_HOST),
    topology=_topology(num_cores, num_hosts),
    devices=[],
  )
  for master in (estimator.config.master, estimator.config.evaluation_master):
    estimator._ctx._lazy_tpu_system_metadata_dict[master] = system
  return estimator


def _topology(num_cores: int, num_hosts: int) -> Any:
  """Hosts of 2 x 2 chips of 2 cores; fewer chips if fewer cores.

  Several stand as near to a square as they can, as those of a pod do: the cores
  of a replica have to be a rectangle of it.
  """
  num_rows = max(
    n
    for n in range(1, num_hosts + 1)
    if num_hosts % n == 0 and n * n <= num_hosts
  )
  cores = np.array(
    [
      [
        (2 * column + x, 2 * row + y, core)
        for x in range(2)
        for y in range(2)
        for core in range(2)
      ][:num_cores]
      for column in range(num_hosts // num_rows)
      for row in range(num_rows)
    ],
    np.int32,
  )
  return topology.Topology(
    mesh_shape=cores.max(axis=(0, 1)) + 1, device_coordinates=cores
  )


class _Infeed:
  """The input pipeline of a run, without files.

  Attributes:
    batch_size: what the estimator asked for, that of one replica.
  """

  def __init__(self, params: Any, mode: str):
    self._input_fn = input_reader.InputFn('', params, mode)
    self._built: Any = None
    self.batch_size: Optional[int] = None

  def __call__(self, params: Dict[str, Any]) -> tf.data.Dataset:
    self.batch_size = params['batch_size']
    if self._built is None:
      records = tf.data.Dataset.from_tensors(tf.constant(''))
      self._built = self._input_fn.batches(records, self.batch_size)
      return self._built
    # Each host of a pod asks, and the shapes are all that counts.
    return tf.data.Dataset.from_tensors(
      tf.nest.map_structure(
        lambda dtype, shape: tf.placeholder(dtype, shape),
        self._built.output_types,
        self._built.output_shapes,
      )
    )


def _call_model_fn(
  estimator: tf.estimator.tpu.TPUEstimator, input_fn: _Infeed, mode: str
) -> None:
  """What `train`, `evaluate` and `predict` do before they make a session."""
  # Three threads: the session, infeed and outfeed.
  estimator._rendezvous[mode] = error_handling.ErrorRendezvous(num_sources=3)
  estimator._create_and_assert_global_step(tf.get_default_graph())
  features, labels, _ = estimator._get_features_and_labels_from_input_fn(
    input_fn, mode
  )
  estimator._call_model_fn(features, labels, mode, estimator.config)


@contextlib.contextmanager
def _quiet_tensorflow() -> Iterator[None]:
  """Leaves it to the checks to report what TensorFlow would log.

  To look for deprecated arguments takes a tenth of the time, too.
  """
  verbosity = tf.logging.get_verbosity()
  warns = deprecation._PRINT_DEPRECATION_WARNINGS
  tf.logging.set_verbosity(tf.logging.FATAL)
  deprecation._PRINT_DEPRECATION_WARNINGS = False
  try:
    yield
  finally:
    tf.logging.set_verbosity(verbosity)
    deprecation._PRINT_DEPRECATION_WARNINGS = warns
