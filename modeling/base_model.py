"""Base of all models: precision, weight decay, packaging of predictions."""

import abc
import logging
import re
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

from modeling import model_stats, served_output
from modeling.architecture import cpu_gradients
from modeling.training import step_randomness
from ops import anchors, preprocess_ops
from utils import errors, mode_keys

Tensors = Dict[str, Any]

_log = logging.getLogger(__name__)


class Model(abc.ABC):
  """A model: outputs, losses and predictions of one batch.

  Args:
    backbone_scope: variable scope that holds the backbone's variables.
    stride: the sides of the network's images are multiples of it, pixels.
    use_bfloat16: compute in bfloat16; variables and outputs stay float32.
    frozen_variable_prefix: regex; variables whose name with ':0' it matches
      at the start are not trained. None: all are trained.
    regularization_variable_regex: regex; likewise, the variables under l2
      decay. None: all trained ones.
    l2_weight_decay: factor of the sum of squares / 2.
    fast_cpu_gradients: whether training uses the gradients that are
      faster on a CPU.

  Attributes:
    watched_losses: names of the losses that are checked after every step, in
      the order in which to blame them.
    losses_add_up: whether the losses of the parts of a batch, all divided by
      the normaliser of the batch, add up to those of the batch. If so, a model
      has `loss_normalizer(labels)`, which gives that normaliser and scalars to
      log, and `normalized_losses(outputs, labels, normalizer)`.
    has_evaluation_losses: whether there are losses outside training too.
    predicted: keys of `predictions`.
    served_outputs: what an exported model puts out, by signature key; keys that
      `build_outputs` does not give in prediction mode are left out.
    encoded_outputs: what it puts out instead, if it is fed encoded images. Such
      a model has `encode(served, image_info, image_size, further)`, which makes
      them, [batch, ...] by key, on the host of a device, of `served_outputs`,
      of how images [batch] were resized and to which (height, width), and of
      `further_inputs`, [batch] by key.
    encoded_input: signature key of encoded images.
    further_inputs: what may be fed beside them, by signature key.
    image_fit: how images are made to fit outside training, a key of
      `preprocess_ops.FITS`.
    stats: size of the network, once it is built with a known batch size.
  """

  watched_losses: Sequence[str] = ('model_loss',)
  losses_add_up = False
  has_evaluation_losses = True
  predicted: Sequence[str] = ()
  served_outputs: Dict[str, served_output.ServedOutput] = {}
  encoded_outputs: Dict[str, served_output.ServedOutput] = {}
  encoded_input = 'input'
  further_inputs: Dict[str, served_output.FurtherInput] = {}
  image_fit = preprocess_ops.WHOLE

  def __init__(
    self,
    backbone_scope: str,
    stride: int = 1,
    use_bfloat16: bool = False,
    frozen_variable_prefix: Optional[str] = None,
    regularization_variable_regex: Optional[str] = None,
    l2_weight_decay: float = 0.0,
    fast_cpu_gradients: bool = False,
  ):
    self.backbone_scope = backbone_scope
    self.stride = stride
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
  def build_losses(
    self, outputs: Tensors, labels: Any, is_training: bool = True
  ) -> Tensors:
    """Scalars by name: losses, `model_loss` being the one to minimise.

    Args:
      outputs: of `build_outputs`.
      labels: as the input pipeline delivers them.
      is_training: whether moving averages, if there are any, move on.
    """

  @abc.abstractmethod
  def predictions(self, outputs: Tensors, labels: Any) -> Tensors:
    """What evaluators get of a batch: [batch, ...] by name."""

  def eval_metrics(
    self, outputs: Tensors, labels: Any
  ) -> Tuple[Callable[..., Dict[str, Any]], List[tf.Tensor]]:
    """Metrics of `eval.type: customized`, beside the mean losses.

    Returns:
      A function of tensors to pairs of `tf.metrics` by name, and the tensors
      [batch, ...]; on a TPU it runs on the host.
    """
    del outputs, labels
    return dict, []

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
    if mode != mode_keys.TRAIN:
      self._check_image_size(images)
    if not self._use_bfloat16:
      with cpu_gradients.fast_gradients(
        self._fast_cpu_gradients and mode == mode_keys.TRAIN
      ), step_randomness.for_images(images):
        return self._build_outputs(images, labels, mode)
    with tf.tpu.bfloat16_scope(), step_randomness.for_images(images):
      outputs = self._build_outputs(tf.cast(images, tf.bfloat16), labels, mode)
    # Counts and classes stay integers.
    return tf.nest.map_structure(
      lambda t: tf.cast(t, tf.float32) if t.dtype == tf.bfloat16 else t,
      outputs,
    )

  def build_predictions(self, outputs: Tensors, labels: Tensors) -> Tensors:
    """Predictions, and groundtruth and losses where labels carry them.

    Returns:
      A flat dict of [batch, ...] tensors under `pred_`, `gt_` and `loss_` keys.
    """
    flat = {
      'pred_' + key: value
      for key, value in self.predictions(outputs, labels).items()
    }
    if 'is_padding' in labels:
      flat['pred_is_padding'] = labels['is_padding']
    if 'groundtruths' not in labels:
      return flat
    groundtruths = dict(labels['groundtruths'])
    for key in ('image_info', 'is_padding'):
      if key in labels:
        groundtruths[key] = labels[key]
    flat.update({'gt_' + key: value for key, value in groundtruths.items()})
    flat['pred_source_id'] = groundtruths['source_id']
    if not self.has_evaluation_losses:
      return flat
    # For the log only, so always by this batch's own normaliser.
    losses = self.build_losses(outputs, labels, is_training=False)
    batch_size = tf.shape(groundtruths['source_id'])[0]
    for key, value in losses.items():
      flat['loss_' + key] = tf.tile([value], [batch_size])
    return flat

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
        f'train.frozen_variable_prefix: {self._frozen_variable_prefix!r} '
        'matches every variable, so nothing is left to train. Use null to '
        'freeze nothing.'
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

  def _check_image_size(self, images: tf.Tensor) -> None:
    height, width = images.shape.as_list()[1:3]
    if any(side and side % self.stride for side in (height, width)):
      raise errors.ConfigError(
        f'The image is {height} x {width} pixels (height x width); both sides '
        f'have to be multiples of {self.stride}, the stride of the coarsest '
        'level. Pad the image or lower architecture.max_level.'
      )

  def _log_stats(self, images: tf.Tensor) -> None:
    batch_size = images.shape.as_list()[0]
    # Parts of a batch build the network twice.
    if batch_size is None or self.stats:
      return
    self.stats = model_stats.model_stats(batch_size)
    _log.info(
      'Network: %.2f M parameters, %.2f B multiply-adds per image.',
      self.stats['num_trainable_params_million'],
      self.stats['multi_add_flops_billion'],
    )


def anchor_boxes(
  make_anchors: Callable[[Tuple[int, int]], anchors.Anchors],
  images: tf.Tensor,
  labels: Tensors,
) -> Dict[int, tf.Tensor]:
  """Those of the labels, or else of the images: {level: [batch or 1, n, 4]}."""
  if 'anchor_boxes' in labels:
    return labels['anchor_boxes']
  made = make_anchors(tuple(images.shape.as_list()[1:3]))
  return {
    level: tf.constant(boxes[None])
    for level, boxes in made.boxes_by_level.items()
  }


def shared_arguments(params: Any, backbone_scope: str) -> Dict[str, Any]:
  """Arguments of `Model` that follow from the config alike for all models."""
  settings = params.train
  gpus = tf.config.experimental.list_physical_devices('GPU')
  return {
    'backbone_scope': backbone_scope,
    'use_bfloat16': params.architecture.use_bfloat16,
    'frozen_variable_prefix': settings.frozen_variable_prefix,
    'regularization_variable_regex': settings.regularization_variable_regex,
    'l2_weight_decay': settings.l2_weight_decay,
    'fast_cpu_gradients': not params.use_tpu and not gpus,
  }


def _compile(key: str, pattern: str) -> Any:
  try:
    return re.compile(pattern)
  except re.error as error:
    raise errors.ConfigError(
      f'{key}: {pattern!r} is not a regular expression: {error}.'
    ) from error
