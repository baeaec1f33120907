"""The one place where estimators are made."""

import copy
from typing import Any, Callable, Dict, List, Optional

import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf import rewriter_config_pb2

from executor import hardware as hardware_lib
from executor import memory
from utils import errors

# [height, width, channels, batch] seen from [batch, height, width, channels].
_TRANSPOSED_AXES = (1, 2, 3, 0)


def make_estimator(
  params: Any,
  model_fn: Callable[..., Any],
  hardware: hardware_lib.Hardware,
  predict_batch_key: str,
  is_training: bool,
) -> tf.estimator.Estimator:
  """Builds the estimator for the hardware.

  Args:
    params: the whole config.
    model_fn: see `modeling.model_builder.ModelFn`.
    hardware: of `hardware.detect`.
    predict_batch_key: dotted key of the global batch of `predict`, which serves
      evaluation (eval.eval_batch_size) as well as prediction without
      groundtruth (predict.predict_batch_size).
    is_training: whether its sessions train, see `session_config`.

  Returns:
    A `TPUEstimator` for a TPU and for a single CPU or GPU, else an
    `Estimator` under a `MirroredStrategy`. Its input functions are called
    with `{'batch_size': n}`, n such that the config's batch sizes are global.
  """
  _check_batch_sizes(params, hardware, predict_batch_key)
  memory.check(params, hardware)
  run_config_kwargs = {
    'model_dir': params.model_dir,
    'tf_random_seed': params.train.seed,
    'save_checkpoints_secs': params.train.save_checkpoint_seconds,
    'keep_checkpoint_max': params.train.keep_checkpoints,
    'session_config': session_config(params, hardware, is_training),
  }
  if hardware.kind == hardware_lib.GPU and hardware.num_replicas > 1:
    return _mirrored_estimator(params, model_fn, run_config_kwargs)
  return _tpu_estimator(
    params,
    model_fn,
    hardware,
    _batch_size(params, predict_batch_key),
    run_config_kwargs,
  )


def _batch_size(params: Any, key: str) -> int:
  block, name = key.split('.')
  return getattr(getattr(params, block), name)


def _check_batch_sizes(
  params: Any, hardware: hardware_lib.Hardware, predict_batch_key: str
) -> None:
  keys = ['train.train_batch_size']
  if hardware.kind == hardware_lib.TPU:
    # Under a distribution strategy one device evaluates and predicts.
    keys += ['eval.eval_batch_size', predict_batch_key]
  for key in keys:
    size = _batch_size(params, key)
    if size < 1 or size % hardware.num_replicas:
      raise errors.ConfigError(
        '{}: {} is not a positive multiple of the {} replicas ({}). Batch '
        'sizes are global.'.format(
          key, size, hardware.num_replicas, hardware.description
        )
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
  rewrite_options = config.graph_options.rewrite_options
  rewrite_options.disable_meta_optimizer = (
    is_training and hardware.kind == hardware_lib.CPU
  )
  if is_training and params.train.mixed_precision:
    rewrite_options.auto_mixed_precision = rewriter_config_pb2.RewriterConfig.ON
  return config


def _tpu_estimator(
  params: Any,
  model_fn: Callable[..., Any],
  hardware: hardware_lib.Hardware,
  predict_batch_size: int,
  run_config_kwargs: Dict[str, Any],
) -> tf.estimator.tpu.TPUEstimator:
  uses_tpu = hardware.kind == hardware_lib.TPU
  tpu_config = tf.estimator.tpu.TPUConfig(
    iterations_per_loop=params.train.iterations_per_loop if uses_tpu else 1,
    num_cores_per_replica=params.train.num_cores_per_replica,
    input_partition_dims=_input_partition_dims(params),
    tpu_job_name=params.tpu_job_name,
    per_host_input_for_training=(
      tf.estimator.tpu.InputPipelineConfig.PER_HOST_V2
    ),
  )
  config = tf.estimator.tpu.RunConfig(
    cluster=hardware.resolver,
    evaluation_master=params.platform.eval_master,
    tpu_config=tpu_config,
    log_step_count_steps=params.train.iterations_per_loop,
    **run_config_kwargs,
  )
  return tf.estimator.tpu.TPUEstimator(
    model_fn=model_fn,
    use_tpu=uses_tpu,
    train_batch_size=params.train.train_batch_size,
    eval_batch_size=params.eval.eval_batch_size,
    predict_batch_size=predict_batch_size,
    config=config,
  )


def _input_partition_dims(params: Any) -> Optional[List[Any]]:
  dims = params.train.input_partition_dims
  if dims is None:
    return None
  partitions = []
  for item in dims:
    if item is None or item == 'None':
      partitions.append(None)
    elif params.train.transpose_input:
      partitions.append([item[axis] for axis in _TRANSPOSED_AXES])
    else:
      partitions.append(item)
  return partitions


def _mirrored_estimator(
  params: Any,
  model_fn: Callable[..., Any],
  run_config_kwargs: Dict[str, Any],
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
  strategy each replica reads its share of the global batch.

  Args:
    input_fn: called with `{'batch_size': n}`.
    batch_size: the global batch, for estimators that do not name one.
  """

  def __init__(self, input_fn: Callable[..., Any], batch_size: int):
    self._input_fn = input_fn
    self._batch_size = batch_size

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
    return self._input_fn(params)
