"""Hardware of a run."""

import os
from typing import Any, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from configs import restrictions
from executor.multi_worker import cluster as cluster_lib
from executor.tpu import cloud_tpu, tpu_address
from utils import errors

TPU = 'TPU'
GPU = 'GPU'
CPU = 'CPU'

# Value of platform.eval_master that means this machine.
LOCAL = 'local'

# Predictions of a `TPUEstimator` come from one host.
CORES_PER_HOST = restrictions.CORES_PER_HOST


class Hardware(NamedTuple):
  """The devices of a run.

  Attributes:
    kind: 'TPU', 'GPU' or 'CPU'.
    num_replicas: copies of the model that share the global batch.
    description: for a person.
    resolver: finds the TPU; None elsewhere.
    cluster: the processes that train together; None for a single one.
  """

  kind: str
  num_replicas: int
  description: str
  resolver: Optional[Any] = None
  cluster: Optional[cluster_lib.Cluster] = None

  @property
  def writes(self) -> bool:
    """Whether this process writes checkpoints and summaries."""
    return self.cluster is None or self.cluster.is_chief


def num_hosts(params: Any) -> int:
  """Processes that read the training files of a config together."""
  cluster = cluster_lib.from_environment(os.environ)
  if cluster:
    return cluster.num_workers
  return -(-params.train.num_shards // CORES_PER_HOST) if params.use_tpu else 1


def detect(params: Any, awaits_new_tpu: bool = False) -> Hardware:
  """Chooses the hardware: the TPU if `use_tpu`, else GPUs, else the CPU.

  With TF_CONFIG they are those of all workers.

  Args:
    params: the whole config.
    awaits_new_tpu: whether to wait without end for a TPU that is missing or
      was preempted.

  Raises:
    ConfigError: TF_CONFIG is wrong.
    UserError: the TPU cannot be used.
  """
  cluster = cluster_lib.from_environment(os.environ)
  if params.use_tpu:
    if cluster:
      raise errors.ConfigError(
        f'use_tpu: true, but {cluster_lib.VARIABLE} lists '
        f'{cluster.num_workers} workers. One process drives a TPU, whatever '
        f'its size; unset {cluster_lib.VARIABLE}.'
      )
    # What is wrong is said before somebody waits for the TPU.
    found = tpu(params, is_training=True)
    return found._replace(
      resolver=cloud_tpu.connect(params.platform, awaits_new_tpu)
    )
  local = _local_devices()
  if cluster is None:
    return local
  if not cluster.is_worker:
    return _one_device(local)._replace(cluster=cluster)
  return local._replace(
    num_replicas=local.num_replicas * cluster.num_workers,
    description=(
      f'{cluster.num_workers} workers of {local.description} each, here '
      f'{cluster.name(cluster.index)}'
    ),
    cluster=cluster,
  )


def _local_devices() -> Hardware:
  num_gpus = len(tf.config.experimental.list_physical_devices('GPU'))
  if num_gpus:
    return Hardware(
      GPU, num_gpus, '{} GPU{}'.format(num_gpus, 's' if num_gpus > 1 else '')
    )
  return Hardware(CPU, 1, 'CPU')


def _one_device(hardware: Hardware) -> Hardware:
  """The first one of this process."""
  return Hardware(hardware.kind, 1, 'one ' + hardware.kind)


def tpu(params: Any, is_training: bool) -> Hardware:
  """The TPU of `platform.tpu` before it is found: without its resolver.

  Args:
    params: the whole config.
    is_training: whether it trains, where a replica may have several cores.
  """
  if is_training:
    num_cores = params.train.num_shards
    num_replicas = num_training_replicas(params)
  else:
    num_cores = num_replicas = num_evaluating_cores(params)
  name = cloud_tpu.tpu_name(params.platform)
  return Hardware(
    TPU,
    num_replicas,
    'TPU {}({} cores)'.format(name + ' ' if name else '', num_cores),
  )


def num_training_replicas(params: Any) -> int:
  """Copies of the model on the TPU that trains."""
  return params.train.num_shards // (params.train.num_cores_per_replica or 1)


def num_evaluating_cores(params: Any) -> int:
  """Cores of a TPU that evaluates or predicts, each a replica."""
  return min(params.train.num_shards, CORES_PER_HOST)


def detect_for_evaluation(
  params: Any, awaits_new_tpu: bool = False
) -> Hardware:
  """Chooses the hardware of a run that only evaluates.

  It leaves the TPU of `platform.tpu`, where another program may train, alone if
  there is a `platform.eval_master`.

  Args:
    params: the whole config.
    awaits_new_tpu: as in `detect`.

  Raises:
    UserError: the TPU cannot be used.
  """
  if params.use_tpu and params.platform.eval_master:
    return _at_eval_master(params)
  return detect(params, awaits_new_tpu)


def for_evaluation(params: Any, training: Hardware) -> Hardware:
  """Chooses where to evaluate: `platform.eval_master`, else where it trains.

  Args:
    params: the whole config.
    training: of `detect`.

  Raises:
    UserError: the evaluating TPU cannot be used.
  """
  if training.cluster:
    return _one_device(training)
  if training.kind != TPU:
    return training
  if params.platform.eval_master:
    return _at_eval_master(params)
  return tpu(params, is_training=False)._replace(resolver=training.resolver)


def evaluates_on_tpu(params: Any) -> bool:
  """Whether a run with a TPU evaluates on one, and not on this machine."""
  return params.platform.eval_master != LOCAL


def _at_eval_master(params: Any) -> Hardware:
  master = params.platform.eval_master
  if master == LOCAL:
    return Hardware(CPU, 1, 'the CPU of this machine')
  num_cores = num_evaluating_cores(params)
  resolver = tf.distribute.cluster_resolver.TPUClusterResolver(master)
  return Hardware(
    TPU,
    num_cores,
    f'TPU {master} ({num_cores} cores)',
    tpu_address.connect(resolver),
  )
