"""Losses of a training batch and their gradients, at once or in parts."""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf

from modeling import base_model
from modeling.training import accumulation, replicas, summed_gradients
from utils import mode_keys

Tensors = Dict[str, Any]
GradientsAndVariables = List[Tuple[Optional[tf.Tensor], tf.Variable]]


class Optimization(NamedTuple):
  """What turns gradients into a step.

  Attributes:
    step: int32 scalar, the global step before the update.
    learning_rate: scalar of that step.
    optimizer: with that learning rate.
    measuring: what in it learns the norm of the gradients of all replicas, if
      there are several.
  """

  step: tf.Tensor
  learning_rate: tf.Tensor
  optimizer: tf.train.Optimizer
  measuring: Optional[summed_gradients.MeasuringOptimizer]


class BatchGradients(NamedTuple):
  """Result of a batch.

  Attributes:
    losses: scalars of the whole batch by name, weight decay among them.
    total_loss: scalar, what the gradients are those of.
    gradients: a pair for each trained variable.
    model_variables: all variables of the model, without those of the optimizer.
    optimization: as it was made.
  """

  losses: Tensors
  total_loss: tf.Tensor
  gradients: GradientsAndVariables
  model_variables: List[tf.Variable]
  optimization: Optimization


def batch_gradients(
  model: base_model.Model,
  images: tf.Tensor,
  labels: Tensors,
  make_optimization: Callable[[], Optimization],
) -> BatchGradients:
  """Builds the model for a batch, and its gradients.

  Args:
    model: not built yet.
    images: see `Model.build_outputs`.
    labels: as the input pipeline delivers them.
    make_optimization: called once.
  """
  outputs = model.build_outputs(images, labels, mode_keys.TRAIN)
  losses = model.build_losses(outputs, labels)
  variables = model.trainable_variables()
  losses['l2_regularization_loss'] = model.l2_loss(variables)
  total_loss = _total(losses)
  model_variables = tf.global_variables()
  optimization = make_optimization()
  # What applies them waits for all, in one replica. Gates, by default one for
  # each operation, are every seventh node of the backward pass, and each costs
  # time at every start.
  gates = tf.train.Optimizer
  gradients = optimization.optimizer.compute_gradients(
    total_loss,
    variables,
    gate_gradients=(
      gates.GATE_NONE if replicas.num_replicas() == 1 else gates.GATE_GRAPH
    ),
  )
  return BatchGradients(
    losses, total_loss, gradients, model_variables, optimization
  )


def accumulated_gradients(
  model: base_model.Model,
  images: tf.Tensor,
  labels: Tensors,
  make_optimization: Callable[[], Optimization],
  num_parts: int,
) -> BatchGradients:
  """As `batch_gradients`, in the memory of a part of the batch.

  The numbers are those of `batch_gradients`, batch norm aside, which sees one
  part at a time and moves its averages on with each.

  Args:
    model: not built yet; one whose losses add up.
    images: [batch, ...], static.
    labels: nest of [batch, ...], static.
    make_optimization: called once.
    num_parts: number of parts, a divisor of the batch.
  """
  # The loop over the parts needs the optimizer, and may not make it.
  optimization = make_optimization()
  foreign = {variable.name for variable in tf.global_variables()}
  normalizer, logged = model.loss_normalizer(labels)

  def compute(part):
    part_images, part_labels = part
    outputs = model.build_outputs(part_images, part_labels, mode_keys.TRAIN)
    losses = model.normalized_losses(outputs, part_labels, normalizer)
    pairs = optimization.optimizer.compute_gradients(
      losses['model_loss'], model.trainable_variables()
    )
    return losses, [gradient for gradient, _ in pairs]

  def outline(part):
    part_images, part_labels = part
    outputs = model.build_outputs(part_images, part_labels, mode_keys.TRAIN)
    ones = tf.ones(normalizer.shape)
    losses = model.normalized_losses(outputs, part_labels, ones)
    return losses, model.trainable_variables()

  losses, gradients = accumulation.sum_over_parts(
    compute, (images, labels), num_parts, outline
  )
  variables = model.trainable_variables()
  losses.update(logged)
  losses['l2_regularization_loss'] = model.l2_loss(variables)
  decay = optimization.optimizer.compute_gradients(
    losses['l2_regularization_loss'], variables
  )
  return BatchGradients(
    losses,
    _total(losses),
    [
      (_sum(gradient, of_decay), variable)
      for gradient, (of_decay, variable) in zip(gradients, decay)
    ],
    [v for v in tf.global_variables() if v.name not in foreign],
    optimization,
  )


def _total(losses: Tensors) -> tf.Tensor:
  return tf.add(
    losses['model_loss'], losses['l2_regularization_loss'], name='total_loss'
  )


def _sum(
  first: Optional[tf.Tensor], second: Optional[tf.Tensor]
) -> Optional[tf.Tensor]:
  if first is None or second is None:
    return second if first is None else first
  return first + second
