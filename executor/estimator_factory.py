"""Estimators for the hardware at hand."""

import copy
import math
from typing import Any, Callable, Dict, Optional, Tuple

import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf import rewriter_config_pb2

from executor import hardware as hardware_lib
from executor import partitioning
from executor.multi_worker import cluster as cluster_lib
from executor.multi_worker import worker


@cluster_lib.hidden_environment()
def make_estimator(
  params: Any,
  model_fn: Callable[..., Any],
  hardware: hardware_lib.Hardware,
  is_training: bool,
) -> tf.estimator.Estimator:
  """Builds the estimator for the hardware, on which the config can work.

  Args:
    params: the whole config.
    model_fn: see `modeling.model_builder.ModelFn`.
    hardware: of `hardware.detect` or `hardware.for_evaluation`.
    is_training: whether its sessions train, see `session_config`.

  Returns:
    A `TPUEstimator` for a TPU and for a single CPU or GPU, else an
    `Estimator` under a `MirroredStrategy`, or for several workers under a
    `MultiWorkerMirroredStrategy`. Its input functions are called
    with `{'batch_size': n}`, n such that the config's batch sizes are global.
  """
  run_config_kwargs = {
    'model_dir': params.model_dir,
    'tf_random_seed': params.train.seed,
    # Estimators take 0 for never, where it means after every step.
    'save_checkpoints_secs': params.train.save_checkpoint_seconds or 1e-3,
    'keep_checkpoint_max': params.train.keep_checkpoints,
    'keep_checkpoint_every_n_hours': (
      params.train.keep_checkpoint_every_hours or math.inf
    ),
    'session_config': session_config(params, hardware, is_training),
  }
  if hardware.cluster and is_training:
    return worker.make_estimator(
      hardware.cluster,
      model_fn,
      params.train.iterations_per_loop,
      **run_config_kwargs,
    )
  if hardware.kind == hardware_lib.GPU and hardware.num_replicas > 1:
    return _mirrored_estimator(params, model_fn, run_config_kwargs)
  return _tpu_estimator(
    params, model_fn, hardware, is_training, run_config_kwargs
  )


def session_config(
  params: Any, hardware: hardware_lib.Hardware, is_training: bool
) -> tf.ConfigProto:
  """How sessions of the hardware run a graph, in training or without."""
  config = tf.ConfigProto(
    allow_soft_placement=True,
    isolate_session_state=params.isolate_session_state,
  )
  # A training graph is so large that rewriting it takes seconds for each set
  # of fetches, and on a CPU what comes out is no faster. A network that only
  # predicts is: its convolutions and batch norms are fused.
  graph_options = config.graph_options
  rewrite_options = graph_options.rewrite_options
  if is_training and hardware.kind == hardware_lib.CPU:
    rewrite_options.disable_meta_optimizer = True
    graph_options.optimizer_options.opt_level = tf.OptimizerOptions.L0
  if is_training and params.train.mixed_precision:
    rewrite_options.auto_mixed_precision = rewriter_config_pb2.RewriterConfig.ON
  return config


def _tpu_estimator(
  params: Any,
  model_fn: Callable[..., Any],
  hardware: hardware_lib.Hardware,
  is_training: bool,
  run_config_kwargs: Dict[str, Any],
) -> tf.estimator.tpu.TPUEstimator:
  uses_tpu = hardware.kind == hardware_lib.TPU
  parts_images = uses_tpu and is_training
  tpu_config = tf.estimator.tpu.TPUConfig(
    iterations_per_loop=params.train.iterations_per_loop if uses_tpu else 1,
    num_cores_per_replica=(
      params.train.num_cores_per_replica if parts_images else None
    ),
    input_partition_dims=(
      partitioning.input_partition_dims(params) if parts_images else None
    ),
    tpu_job_name=params.tpu_job_name,
    per_host_input_for_training=(
      tf.estimator.tpu.InputPipelineConfig.PER_HOST_V2
    ),
  )
  config = tf.estimator.tpu.RunConfig(
    cluster=hardware.resolver,
    tpu_config=tpu_config,
    log_step_count_steps=params.train.iterations_per_loop,
    **run_config_kwargs,
  )
  return tf.estimator.tpu.TPUEstimator(
    model_fn=model_fn,
    use_tpu=uses_tpu,
    train_batch_size=params.train.train_batch_size,
    eval_batch_size=params.eval.eval_batch_size,
    # What scores checkpoints runs on `predict`.
    predict_batch_size=params.eval.eval_batch_size,
    config=config,
  )


def _mirrored_estimator(
  params: Any, model_fn: Callable[..., Any], run_config_kwargs: Dict[str, Any]
) -> tf.estimator.Estimator:
  config = tf.estimator.RunConfig(
    train_distribute=tf.distribute.MirroredStrategy(),
    log_step_count_steps=params.train.iterations_per_loop,
    **run_config_kwargs,
  )
  return tf.estimator.Estimator(model_fn=model_fn, config=config, params={})


class GlobalBatchInputFn:
  """An input function for every kind of estimator.

  A `TPUEstimator` says which batch size to read; under a distribution
  strategy each replica reads its share of the global batch. Each host of a
  TPU, and each worker of a strategy, reads its own part of the data.

  Args:
    input_fn: called with `{'batch_size': n}`, with 'step_size', the images of
      one of its steps, and with 'part' if there are several.
    batch_size: the global batch, for estimators that do not name one.
  """

  def __init__(self, input_fn: Callable[..., Any], batch_size: int):
    self._input_fn = input_fn
    self._batch_size = batch_size
    self._hosts: Dict[int, int] = {}

  def __call__(
    self,
    params: Dict[str, Any],
    input_context: Optional[tf.distribute.InputContext] = None,
  ) -> tf.data.Dataset:
    params = copy.copy(params)
    if 'batch_size' not in params:
      params['batch_size'] = (
        input_context.get_per_replica_batch_size(self._batch_size)
        if input_context
        else self._batch_size
      )
    part = self._part(params, input_context)
    params['part'] = part
    params['step_size'] = self._batch_size // part[1]
    return self._input_fn(params)

  def _part(
    self,
    params: Dict[str, Any],
    input_context: Optional[tf.distribute.InputContext],
  ) -> Tuple[int, int]:
    """Which part of the data to read, of how many."""
    if input_context:
      return input_context.input_pipeline_id, input_context.num_input_pipelines
    if 'context' not in params:
      return 0, 1
    _, host, num_reading, _ = params['context'].current_input_fn_deployment()
    # Where a replica has the cores of several hosts, only some of them read.
    return self._hosts.setdefault(host, len(self._hosts)), num_reading
