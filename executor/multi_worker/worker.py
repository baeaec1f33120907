"""The estimator of one worker of several."""

from typing import Any, Callable, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from executor.multi_worker import cluster as cluster_lib

_SUMMARY_STEPS = 100


class _RunConfig(tf.estimator.RunConfig):
  """Sessions of this process, on the server that speaks to the others.

  An estimator that knew of the cluster would start the server by itself, after
  which nobody else could use the port, and let only its own hooks save.

  Args:
    target: of the server.
    **kwargs: of an estimator's config.
  """

  def __init__(self, target: str, **kwargs: Any):
    super().__init__(**kwargs)
    self._target = target

  @property
  def master(self) -> str:
    return self._target


def make_estimator(
  cluster: cluster_lib.Cluster,
  model_fn: Callable[..., Any],
  log_step_count_steps: int,
  session_config: tf.ConfigProto,
  tf_random_seed: Optional[int],
  **run_config_kwargs: Any,
) -> tf.estimator.Estimator:
  """Starts TensorFlow's server and makes an estimator that uses it.

  Once in a process, when all workers have met: the server takes the port. With
  `cluster.hidden_environment`.

  Args:
    cluster: this process is a worker of it.
    model_fn: of the estimator.
    log_step_count_steps: steps between speeds in the event file.
    session_config: is changed to what the workers' sessions need.
    tf_random_seed: each worker makes its own of it.
    **run_config_kwargs: of a `tf.estimator.RunConfig`.
  """
  strategy = tf.distribute.experimental.MultiWorkerMirroredStrategy()
  strategy.configure(
    session_config=session_config,
    cluster_spec=cluster.spec,
    task_type=cluster_lib.WORKER,
    task_id=cluster.index,
  )
  server = tf.distribute.Server(
    cluster.spec,
    job_name=cluster_lib.WORKER,
    task_index=cluster.index,
    config=session_config,
  )
  config = _RunConfig(
    server.target,
    train_distribute=strategy,
    session_config=session_config,
    tf_random_seed=_own_seed(tf_random_seed, cluster.index),
    save_summary_steps=_SUMMARY_STEPS if cluster.is_chief else None,
    log_step_count_steps=log_step_count_steps if cluster.is_chief else None,
    **run_config_kwargs,
  )
  return tf.estimator.Estimator(model_fn=model_fn, config=config, params={})


def _own_seed(seed: Optional[int], index: int) -> Optional[int]:
  """Workers drop different parts of their networks."""
  if seed is None or not index:
    return seed
  return int(np.random.SeedSequence([seed % 2**32, index]).generate_state(1)[0])
