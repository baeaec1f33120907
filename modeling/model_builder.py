"""The model function of an estimator."""

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf
from tensorflow.compat.v2 import summary as summary_v2

from modeling import (
  base_model,
  checkpoint,
  factory,
  learning_rates,
  model_stats,
  weight_averages,
)
from modeling.architecture import shared_tensors
from modeling.training import (
  finite_loss,
  gradients,
  optimizers,
  replicas,
  summed_gradients,
  warm_start,
)
from ops import image_layout
from utils import errors, mode_keys

Tensors = Dict[str, Any]

# Names of tensors: the global norm before clipping, where it is known, and the
# time at which the images of a step were there, seconds since 1970.
GRADIENT_NORM, INPUT_ARRIVAL = 'gradient_norm', 'input_arrival'


class ModelFn:
  """`model_fn(features, labels, mode, params)` of an (TPU) estimator.

  Args:
    params: the whole config.
    make_last_hooks: returns new hooks, which run after the model's own ones in
      training: what saves a checkpoint belongs here, so that a step was checked
      before it is saved.
    make_tpu_scaffold: returns a new scaffold for a session with a TPU.
    writes: whether this process writes summaries and statistics; of several
      workers one does.
    learning_rate_scale: that the schedule is multiplied by in training.
    batches: takes the image ids of those that train.
  """

  def __init__(
    self,
    params: Any,
    make_last_hooks: Callable[
      [], Sequence[tf.train.SessionRunHook]
    ] = lambda: (),
    make_tpu_scaffold: Callable[[], tf.train.Scaffold] = tf.train.Scaffold,
    writes: bool = True,
    learning_rate_scale: float = 1.0,
    batches: Optional[finite_loss.RecentBatches] = None,
  ):
    self._params = params
    self._tpu_scaffold_fn = make_tpu_scaffold if params.use_tpu else None
    self._writes = writes
    self._learning_rate_scale = learning_rate_scale
    self._batches = batches
    self._make_last_hooks = make_last_hooks
    self._build = {
      tf.estimator.ModeKeys.TRAIN: self._train,
      tf.estimator.ModeKeys.EVAL: self._evaluate,
      tf.estimator.ModeKeys.PREDICT: self._predict,
    }

  def __call__(
    self, features: Any, labels: Any, mode: str, params: Any = None
  ) -> Any:
    """Builds the graph of one mode.

    Args:
      features: images in training and evaluation, `{'images', 'labels'}` in
        prediction.
      labels: as the input pipeline delivers them, None in prediction.
      mode: a key of `tf.estimator.ModeKeys`.
      params: the estimator's dict; not used, the config is complete.

    Returns:
      A `TPUEstimatorSpec` when `use_tpu`, else an `EstimatorSpec`.
    """
    del params
    if mode not in self._build:
      raise errors.ConfigError(
        'Mode {!r} is unknown; known are {}.'.format(
          mode, ', '.join(sorted(self._build))
        )
      )
    tf.get_variable_scope().set_custom_getter(shared_tensors.initial_values)
    spec = self._build[mode](features, labels)
    return spec if self._params.use_tpu else spec.as_estimator_spec()

  def _train(self, images: tf.Tensor, labels: Tensors) -> Any:
    params = self._params
    model = factory.model_generator(params)
    if not params.use_tpu:
      images = _noting_arrival(images)
    images = image_layout.undo_input_layout(
      images,
      params.train.transpose_input,
      params.architecture.space_to_depth_block_size,
    )
    num_parts = params.train.gradient_accumulation_steps
    if num_parts == 1:
      batch = gradients.batch_gradients(
        model, images, labels, self._optimization
      )
    else:
      batch = gradients.accumulated_gradients(
        model, images, labels, self._optimization, num_parts
      )
    step, learning_rate = batch.optimization[:2]
    train_op, norm = self._train_op(batch.gradients, batch.optimization)
    model_variables = [
      v for v in batch.model_variables if v.op.name != 'global_step'
    ]

    shown = _over_replicas(batch.losses)
    host_call = None
    if params.enable_summary and self._writes:
      scalars = dict(shown, learning_rate=learning_rate)
      if norm is not None:
        scalars[GRADIENT_NORM] = norm
      host_call = self._host_call(step, scalars)
    reported_loss = batch.total_loss
    hooks: List[tf.train.SessionRunHook] = []
    if not params.use_tpu:
      # An estimator stops at a loss that is NaN before it asks the hook below,
      # which can say why. The hook stops at the same step.
      reported_loss = tf.where(
        tf.is_finite(reported_loss), reported_loss, tf.zeros_like(reported_loss)
      )
      # Inside a TPU loop the values of single steps are not visible.
      checked = (*model.watched_losses, 'l2_regularization_loss')
      minimized = ('model_loss', 'l2_regularization_loss')
      recovers = params.train.recover_from_blow_ups > 0
      hooks.append(
        finite_loss.FiniteLossHook(
          {name: shown[name] for name in checked},
          learning_rate,
          step,
          # Of several replicas any may be the one to blame.
          None if replicas.is_replicated() else _source_ids(labels),
          [shown[name] for name in minimized],
          params.train.blow_up_factor if recovers else 0.0,
          self._batches,
        )
      )
    return tf.estimator.tpu.TPUEstimatorSpec(
      mode=tf.estimator.ModeKeys.TRAIN,
      loss=reported_loss,
      train_op=train_op,
      host_call=host_call,
      training_hooks=[*hooks, *self._make_last_hooks()],
      scaffold_fn=lambda: self._scaffold(model, model_variables),
    )

  def _optimization(self) -> gradients.Optimization:
    params = self._params
    global_step = tf.train.get_or_create_global_step()
    # A cast copies the value; an identity may share the variable's memory and
    # then show the step after the update.
    step = tf.cast(global_step, tf.int32, name='step_before_update')
    learning_rate = learning_rates.learning_rate_generator(
      params.train.learning_rate, params.train.total_steps
    )(step)
    if self._learning_rate_scale != 1.0:
      learning_rate *= self._learning_rate_scale
    learning_rate = tf.identity(learning_rate, name='learning_rate')
    optimizer = optimizers.optimizer_factory(params.train.optimizer)(
      learning_rate
    )
    measuring = None
    if params.use_tpu:
      # Each core clips its own part, as in the original.
      measuring = summed_gradients.MeasuringOptimizer(optimizer)
      optimizer = tf.tpu.CrossShardOptimizer(measuring)
    elif replicas.is_replicated():
      measuring = summed_gradients.MeasuringOptimizer(
        optimizer, float(params.train.gradient_clip_norm)
      )
      optimizer = measuring
    if params.train.mixed_precision:
      optimizer = optimizers.with_loss_scale(optimizer)
      # It is within the condition that all gradients are finite.
      measuring = None
    return gradients.Optimization(step, learning_rate, optimizer, measuring)

  def _train_op(
    self,
    gradients_and_variables: gradients.GradientsAndVariables,
    optimization: gradients.Optimization,
  ) -> Tuple[tf.Operation, Optional[tf.Tensor]]:
    """Returns what does a step, and the norm of its gradient if it is known."""
    norm = None
    values, variables = zip(*gradients_and_variables)
    # The learning rate is read before the step moves on, and no variable
    # changes while a gradient is computed of it.
    before = [
      optimization.learning_rate.op,
      *tf.get_collection(tf.GraphKeys.UPDATE_OPS),
      *(value for value in values if value is not None),
    ]
    if not replicas.is_replicated():
      values, norm = optimizers.clip_by_global_norm(
        values, float(self._params.train.gradient_clip_norm)
      )
      gradients_and_variables = list(zip(values, variables))
    # One node to wait for: hundreds of updates would be an edge to each of
    # thousands of nodes.
    with tf.control_dependencies([tf.group(*before)]):
      applied = optimization.optimizer.apply_gradients(
        gradients_and_variables,
        global_step=tf.train.get_or_create_global_step(),
      )
    if optimization.measuring:
      norm = optimization.measuring.norm
    if norm is not None:
      norm = tf.identity(norm, name=GRADIENT_NORM)
    decay = self._params.train.ema_decay
    if decay:
      with tf.control_dependencies([applied]):
        applied = weight_averages.update(
          [variable for _, variable in gradients_and_variables],
          decay,
          optimization.step,
        )
    return applied, norm

  def _scaffold(
    self, model: base_model.Model, variables: List[tf.Variable]
  ) -> tf.train.Scaffold:
    settings = self._params.train.checkpoint
    model_dir = self._params.model_dir
    checkpoint.check_resumable(model_dir, variables)
    if self._params.train.mixed_precision:
      checkpoint.check_has_loss_scale(model_dir)
    # Files of a run of another architecture are left alone.
    self._write_stats(model, mode_keys.TRAIN)
    resumes = model_dir and checkpoint.find_latest(model_dir)
    if settings.path and not resumes:
      warm_start.warm_start(
        settings.path,
        settings.prefix or '',
        settings.skip_variables_regex,
        settings.min_coverage,
        variables,
        model.backbone_scope,
      )
    if self._tpu_scaffold_fn:
      return self._tpu_scaffold_fn()
    if tf.distribute.has_strategy():
      return tf.train.Scaffold()
    # Nothing is left uninitialised by an initialiser of all variables or a
    # checkpoint that `check_resumable` accepts, and asking takes seconds.
    nothing = tf.constant([], tf.string)
    return tf.train.Scaffold(ready_op=nothing, ready_for_local_init_op=nothing)

  def _host_call(self, step: tf.Tensor, scalars: Tensors) -> Tuple[Any, Any]:
    """Writes scalars of every step into model_dir, from the host."""
    model_dir = self._params.model_dir
    max_queue = self._params.train.iterations_per_loop
    names = sorted(scalars)

    def write(global_step, *values):
      step = tf.reduce_mean(tf.cast(global_step, tf.float32))
      writer = summary_v2.create_file_writer(model_dir, max_queue=max_queue)
      with writer.as_default():
        for name, value in zip(names, values):
          summary_v2.scalar(
            name, tf.reduce_mean(value), step=tf.cast(step, tf.int64)
          )
        return tf.summary.all_v2_summary_ops()

    # A TPU hands tensors to its host with a leading dimension only.
    tensors = [tf.reshape(step, [1])]
    tensors += [tf.reshape(scalars[name], [1]) for name in names]
    return write, tensors

  def _evaluate(self, images: tf.Tensor, labels: Tensors) -> Any:
    model = factory.model_generator(self._params)
    outputs = model.build_outputs(images, labels, mode_keys.EVAL)
    self._write_stats(model, mode_keys.EVAL)
    if self._params.eval.skip_eval_loss:
      return tf.estimator.tpu.TPUEstimatorSpec(
        mode=tf.estimator.ModeKeys.EVAL,
        loss=tf.constant(0.0),
        scaffold_fn=self._tpu_scaffold_fn,
      )
    losses = model.build_losses(outputs, labels, is_training=False)
    names = sorted(losses)

    further, tensors = model.eval_metrics(outputs, labels)

    def metrics(*values):
      means = {
        name: tf.metrics.mean(value) for name, value in zip(names, values)
      }
      return {**means, **further(*values[len(names) :])}

    return tf.estimator.tpu.TPUEstimatorSpec(
      mode=tf.estimator.ModeKeys.EVAL,
      loss=losses['model_loss'],
      eval_metrics=(
        metrics,
        [*(tf.reshape(losses[name], [1]) for name in names), *tensors],
      ),
      scaffold_fn=self._tpu_scaffold_fn,
    )

  def _predict(self, features: Tensors, labels: Optional[Any]) -> Any:
    del labels
    model = factory.model_generator(self._params)
    labels = features['labels']
    mode = (
      mode_keys.PREDICT_WITH_GT
      if 'groundtruths' in labels
      else mode_keys.PREDICT
    )
    outputs = model.build_outputs(features['images'], labels, mode)
    self._write_stats(model, mode_keys.PREDICT)
    return tf.estimator.tpu.TPUEstimatorSpec(
      mode=tf.estimator.ModeKeys.PREDICT,
      predictions=model.build_predictions(outputs, labels),
      scaffold_fn=self._tpu_scaffold_fn,
    )

  def _write_stats(self, model: base_model.Model, mode: str) -> None:
    if self._writes and model.stats and self._params.model_dir:
      model_stats.write_model_stats(model.stats, self._params.model_dir, mode)


def _noting_arrival(images: tf.Tensor) -> tf.Tensor:
  with tf.control_dependencies([images]), tf.device('/cpu:0'):
    arrival = tf.identity(tf.timestamp(), name=INPUT_ARRIVAL)
  # The network would keep all threads from it.
  with tf.control_dependencies([arrival]):
    return tf.identity(images)


def _over_replicas(losses: Tensors) -> Tensors:
  """Means over the replicas, for hooks and summaries.

  Those are of the first replica, and speak for all; the host of a TPU gets the
  losses of every core, and takes the mean itself. It is one operation: what
  only the chief's summaries asked for, the other workers would not bring, and
  the chief would wait for them.
  """
  if not replicas.is_replicated():
    return losses
  means = replicas.mean_over_replicas(tf.stack(list(losses.values())))
  return dict(zip(losses, tf.unstack(means)))


def _source_ids(labels: Any) -> Optional[tf.Tensor]:
  return labels.get('source_id') if isinstance(labels, dict) else None
