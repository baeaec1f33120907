"""What all detection models share: precision, statistics, loss assembly."""

import abc
import logging
import re
from typing import Any, Dict, List, Optional, Tuple

import tensorflow.compat.v1 as tf

from modeling import model_stats, served_output
from modeling.architecture import cpu_gradients
from utils import errors, mode_keys

Tensors = Dict[str, Any]

_log = logging.getLogger(__name__)


class DetectionModel(abc.ABC):
  """A detector: outputs, losses and predictions of one batch.

  Args:
    backbone_scope: variable scope that holds the backbone's variables.
    use_bfloat16: compute in bfloat16; variables and outputs stay float32.
    frozen_variable_prefix: regex; variables whose name with ':0' it matches
      at the start are not trained. None: all are trained.
    regularization_variable_regex: regex; likewise, the variables under l2
      decay. None: all trained ones.
    l2_weight_decay: factor of the sum of squares / 2.
    fast_cpu_gradients: whether training uses the gradients that are
      faster on a CPU.

  Attributes:
    predicts_masks: whether the predictions hold `pred_detection_masks`.
    served_outputs: what an exported model puts out, by signature key; keys that
      `build_outputs` does not give in prediction mode are left out.
    stats: size of the network, once it is built with a known batch size.
  """

  predicts_masks = False
  served_outputs: Dict[str, served_output.ServedOutput] = {}

  def __init__(
    self,
    backbone_scope: str,
    use_bfloat16: bool = False,
    frozen_variable_prefix: Optional[str] = None,
    regularization_variable_regex: Optional[str] = None,
    l2_weight_decay: float = 0.0,
    fast_cpu_gradients: bool = False,
  ):
    self.backbone_scope = backbone_scope
    self._use_bfloat16 = use_bfloat16
    self._frozen_variable_prefix = frozen_variable_prefix
    self._regularization_variable_regex = regularization_variable_regex
    self._l2_weight_decay = float(l2_weight_decay)
    self._fast_cpu_gradients = fast_cpu_gradients
    self.stats: Optional[Dict[str, float]] = None

  @abc.abstractmethod
  def _build_outputs(
    self, images: tf.Tensor, labels: Tensors, mode: str
  ) -> Tensors:
    """Network outputs, and outside training the detections."""

  @abc.abstractmethod
  def loss_normalizer(
    self, labels: Tensors, is_training: bool = True
  ) -> Tuple[tf.Tensor, Tensors]:
    """What the losses of a batch are divided by.

    Args:
      labels: of the whole batch.
      is_training: whether moving averages, if there are any, move on.

    Returns:
      What `normalized_losses` takes, and scalars to log, by name.
    """

  @abc.abstractmethod
  def normalized_losses(
    self, outputs: Tensors, labels: Tensors, normalizer: tf.Tensor
  ) -> Tensors:
    """Scalar losses by name, `model_loss` being the one to minimise.

    Args:
      outputs: of `build_outputs`, for a batch or a part of it.
      labels: of the same images.
      normalizer: of `loss_normalizer` for the whole batch; the losses of its
        parts add up to those of the batch.
    """

  @abc.abstractmethod
  def build_predictions(self, outputs: Tensors, labels: Tensors) -> Tensors:
    """Flat dict of [batch, ...] tensors: `pred_`, `gt_` and `loss_` keys."""

  def build_outputs(
    self, images: tf.Tensor, labels: Tensors, mode: str
  ) -> Tensors:
    """Builds the network.

    Args:
      images: [batch, height, width, 3], normalised, float32 or bfloat16; in
        training with space-to-depth [batch, height / b, width / b, 3 * b^2].
      labels: what the input pipeline delivers for `mode`.
      mode: one of `utils.mode_keys`.

    Returns:
      A dict of (dicts of) float32 tensors; see the model.
    """
    if mode not in mode_keys.ALL:
      raise errors.ConfigError(
        'Mode {!r} is unknown; known are {}.'.format(
          mode, ', '.join(mode_keys.ALL)
        )
      )
    if not self._use_bfloat16:
      with cpu_gradients.fast_gradients(
        self._fast_cpu_gradients and mode == mode_keys.TRAIN
      ):
        return self._build_outputs(images, labels, mode)
    with tf.tpu.bfloat16_scope():
      outputs = self._build_outputs(tf.cast(images, tf.bfloat16), labels, mode)
    # Counts and classes stay integers.
    return tf.nest.map_structure(
      lambda t: tf.cast(t, tf.float32) if t.dtype == tf.bfloat16 else t,
      outputs,
    )

  def build_losses(
    self, outputs: Tensors, labels: Tensors, is_training: bool = True
  ) -> Tensors:
    """Scalar losses of a batch, and what there is to log of its normaliser.

    Args:
      outputs: of `build_outputs`.
      labels: as the input pipeline delivers them.
      is_training: see `loss_normalizer`.
    """
    normalizer, logged = self.loss_normalizer(labels, is_training)
    return dict(self.normalized_losses(outputs, labels, normalizer), **logged)

  def trainable_variables(self) -> List[tf.Variable]:
    """Trainable variables of the default graph that are not frozen."""
    variables = tf.trainable_variables()
    if self._frozen_variable_prefix is None:
      return variables
    frozen = _compile(
      'train.frozen_variable_prefix', self._frozen_variable_prefix
    )
    kept = [v for v in variables if not frozen.match(v.name)]
    if not kept:
      raise errors.ConfigError(
        'train.frozen_variable_prefix: {!r} matches every variable, so '
        'nothing is left to train. Use null to freeze nothing.'.format(
          self._frozen_variable_prefix
        )
      )
    return kept

  def l2_loss(self, variables: List[tf.Variable]) -> tf.Tensor:
    """Weight decay over those of `variables` that the regex selects."""
    pattern = self._regularization_variable_regex
    if pattern is not None:
      regex = _compile('train.regularization_variable_regex', pattern)
      variables = [v for v in variables if regex.match(v.name)]
    if not variables or not self._l2_weight_decay:
      return tf.zeros([])
    return self._l2_weight_decay * tf.add_n(
      [tf.nn.l2_loss(v) for v in variables]
    )

  def _log_stats(self, images: tf.Tensor) -> None:
    batch_size = images.shape.as_list()[0]
    if batch_size is None:
      return
    self.stats = model_stats.model_stats(batch_size)
    _log.info(
      'Network: %.2f M parameters, %.2f B multiply-adds per image.',
      self.stats['num_trainable_params_million'],
      self.stats['multi_add_flops_billion'],
    )


def _compile(key: str, pattern: str) -> Any:
  try:
    return re.compile(pattern)
  except re.error as error:
    raise errors.ConfigError(
      '{}: {!r} is not a regular expression: {}.'.format(key, pattern, error)
    ) from error
