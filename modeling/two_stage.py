"""Two-stage detectors: Faster, Mask and Cascade R-CNN."""

import functools
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

from modeling import base_model, served_output, two_stage_losses
from modeling.architecture import backbone_and_neck, layer_kit
from modeling.architecture.heads import fast_rcnn_head, mask_head, rpn_head
from modeling.training import replicas, step_randomness
from ops import (
  anchors,
  box_coding,
  postprocess_ops,
  roi_ops,
  spatial_transform_ops,
  target_ops,
)
from utils import errors, mode_keys

Tensors = Dict[str, Any]
_Served = served_output.ServedOutput
# Cells of a crop for the box head.
_BOX_CROP_SIZE = 7


class Stage(NamedTuple):
  """One of the box heads that follow each other.

  Attributes:
    scope: variable scope around the head; '' for none.
    suffix: of its outputs and losses; '' for those of the whole model.
    weights: factors of the encoded boxes, (ty, tx, th, tw).
    iou_threshold: IoU from which a box of the stage before is an object; the
      first stage draws its boxes instead.
  """

  scope: str = ''
  suffix: str = ''
  weights: Tuple[float, ...] = postprocess_ops.REGRESSION_WEIGHTS
  iou_threshold: float = 0.0


class TwoStageModel(base_model.Model):
  """Backbone, neck, proposals, and one or more stages of box heads; masks.

  Args:
    backbone: `(images, is_training)` to {level: features}.
    neck: `(features, is_training)` to {level: features}.
    rpn: `(features, is_training)` to scores and boxes of anchors by level.
    stages: at least one, in their order.
    box_head: `(crops, is_training)` to class logits and boxes, in the variable
      scope of its stage.
    mask_head: `(crops, classes, is_training)` to mask logits; None: no masks.
    anchors: function of the network's (height, width) to `ops.anchors.Anchors`.
    propose: see `ops.roi_ops.ROIGenerator`.
    sample: see `ops.target_ops.ROISampler`.
    sample_masks: see `ops.target_ops.MaskSampler`.
    detect: see `ops.postprocess_ops.GenericDetectionGenerator`.
    loss_settings: of the losses.
    mask_size: side of a predicted mask, cells.
    is_class_agnostic: whether one box stands for all classes.
    averages_logits: whether the class logits of all stages are averaged for
      detections, instead of those of the last alone.
    **kwargs: of `Model`.
  """

  has_evaluation_losses = False

  def __init__(
    self,
    backbone: Callable[..., Any],
    neck: Callable[..., Any],
    rpn: Callable[..., Any],
    stages: Sequence[Stage],
    box_head: Callable[..., Any],
    mask_head: Optional[Callable[..., Any]],
    anchors: Callable[[Tuple[int, int]], anchors.Anchors],
    propose: Callable[..., Any],
    sample: Callable[..., Any],
    sample_masks: Callable[..., Any],
    detect: Callable[..., Any],
    loss_settings: two_stage_losses.LossSettings,
    mask_size: int = 28,
    is_class_agnostic: bool = False,
    averages_logits: bool = False,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._backbone = backbone
    self._neck = neck
    self._rpn = rpn
    self._stages = stages
    self._box_head = box_head
    self._mask_head = mask_head
    self._anchors = anchors
    self._propose = propose
    self._sample = sample
    self._sample_masks = sample_masks
    self._detect = detect
    self._loss_settings = loss_settings
    self._mask_size = mask_size
    self._is_class_agnostic = is_class_agnostic
    self._averages_logits = averages_logits
    self.predicted = ('image_info', *served_output.DETECTIONS)
    self.served_outputs = served_output.DETECTIONS
    self.watched_losses = (
      'rpn_score_loss',
      'rpn_box_loss',
      'fast_rcnn_class_loss',
      'fast_rcnn_box_loss',
    )
    if mask_head:
      self.predicted += ('detection_masks',)
      self.served_outputs = dict(
        self.served_outputs,
        detection_masks=_Served('DetectionMasks', served_output.MASKS),
      )
      self.watched_losses += ('mask_loss',)

  def _build_outputs(
    self, images: tf.Tensor, labels: Tensors, mode: str
  ) -> Tensors:
    """Returns outputs of the heads; in training targets, else detections.

    `rpn_score_outputs` and `rpn_box_outputs`, dicts by level; `class_outputs`
    [batch, n, num_classes] and `box_outputs` [batch, n, 4 * num_classes], with
    the suffix of each stage. In training `class_targets` [batch, n] and
    `box_targets` [batch, n, 4], likewise, and `mask_outputs`, `mask_targets`
    [batch, m, size, size] and `sampled_class_targets` [batch, m]. Otherwise the
    detection generator's outputs, in pixels of the model's image, and
    `detection_masks` [batch, max_total_size, size, size], probabilities within
    the detection's box.
    """
    is_training = mode == mode_keys.TRAIN
    features = self._backbone(images, is_training)
    features = self._neck(features, is_training)
    rpn_scores, rpn_boxes = self._rpn(features, is_training)
    outputs = {'rpn_score_outputs': rpn_scores, 'rpn_box_outputs': rpn_boxes}
    image_shape = labels['image_info'][:, 1]
    with tf.name_scope('proposals'):
      rois, _ = self._propose(
        rpn_boxes,
        rpn_scores,
        base_model.anchor_boxes(self._anchors, images, labels),
        image_shape,
        is_training,
      )
    further = self._train_stages if is_training else self._detect_by_stages
    outputs.update(further(features, rois, labels))
    self._log_stats(images)
    return outputs

  def _train_stages(
    self, features: Dict[int, tf.Tensor], rois: tf.Tensor, labels: Tensors
  ) -> Tensors:
    image_shape = labels['image_info'][:, 1:2]
    gt_boxes, gt_classes = labels['gt_boxes'], labels['gt_classes']
    outputs = {}
    for i, stage in enumerate(self._stages):
      with tf.name_scope('targets'):
        if i == 0:
          rois, *matched = self._sample(rois, gt_boxes, gt_classes)
        else:
          matches = target_ops.match(rois, gt_boxes, gt_classes)
          is_background = (matches.iou >= 0) & (
            matches.iou < stage.iou_threshold
          )
          matched = target_ops.with_background(matches, is_background)[:3]
        boxes, classes, indices = matched
        targets = target_ops.box_targets(rois, boxes, classes, stage.weights)
      logits, encoded = self._run_stage(stage, features, rois, True)
      encoded = tf.cast(encoded, tf.float32)
      for name, value in (
        ('class_outputs', logits),
        ('box_outputs', encoded),
        ('class_targets', classes),
        ('box_targets', tf.stop_gradient(targets)),
      ):
        outputs[name + stage.suffix] = value
      last_rois = rois
      rois = self._refined(encoded, classes, rois, image_shape, stage)
    if self._mask_head:
      with tf.name_scope('mask_targets'):
        last_rois, classes, masks = self._sample_masks(
          last_rois, boxes, classes, indices, labels['gt_masks']
        )
      classes = tf.cast(classes, tf.int32)
      outputs['sampled_class_targets'] = classes
      outputs['mask_targets'] = masks
      outputs['mask_outputs'] = self._masks(features, last_rois, classes, True)
    return outputs

  def _detect_by_stages(
    self, features: Dict[int, tf.Tensor], rois: tf.Tensor, labels: Tensors
  ) -> Tensors:
    image_shape = labels['image_info'][:, 1:2]
    outputs, all_logits = {}, []
    for stage in self._stages:
      logits, encoded = self._run_stage(stage, features, rois, False)
      outputs['class_outputs' + stage.suffix] = logits
      outputs['box_outputs' + stage.suffix] = encoded
      all_logits.append(logits)
      last_rois = rois
      best = tf.argmax(logits, axis=2, output_type=tf.int32)
      rois = self._refined(encoded, best, rois, image_shape, stage)
    if self._averages_logits:
      logits = tf.add_n(all_logits) / len(all_logits)
    with tf.name_scope('detections'):
      outputs.update(
        self._detect(
          encoded,
          logits,
          last_rois,
          image_shape,
          stage.weights,
          not self._is_class_agnostic,
        )
      )
    if self._mask_head:
      classes = tf.cast(outputs['detection_classes'], tf.int32)
      masks = self._masks(features, outputs['detection_boxes'], classes, False)
      outputs['detection_masks'] = tf.sigmoid(masks)
    return outputs

  def _run_stage(
    self,
    stage: Stage,
    features: Dict[int, tf.Tensor],
    rois: tf.Tensor,
    is_training: bool,
  ) -> Tuple[tf.Tensor, tf.Tensor]:
    crops = self._crops(features, rois, _BOX_CROP_SIZE)
    if not stage.scope:
      return self._box_head(crops, is_training)
    with tf.variable_scope(stage.scope):
      return self._box_head(crops, is_training)

  def _masks(
    self,
    features: Dict[int, tf.Tensor],
    rois: tf.Tensor,
    classes: tf.Tensor,
    is_training: bool,
  ) -> tf.Tensor:
    # The head doubles the side.
    crops = self._crops(features, rois, self._mask_size // 2)
    return self._mask_head(crops, classes, is_training)

  def _crops(
    self, features: Dict[int, tf.Tensor], rois: tf.Tensor, size: int
  ) -> tf.Tensor:
    with tf.name_scope('crops'):
      return spatial_transform_ops.multilevel_crop_and_resize(
        features, rois, size, has_sparse_ops=not replicas.is_on_tpu()
      )

  def _refined(
    self,
    encoded: tf.Tensor,
    classes: tf.Tensor,
    rois: tf.Tensor,
    image_shape: tf.Tensor,
    stage: Stage,
  ) -> tf.Tensor:
    """The RoIs that the next stage starts from, without a gradient."""
    if stage is self._stages[-1]:
      return rois
    boxes = box_coding.decode_boxes(
      self._of_class(encoded, classes), rois, stage.weights
    )
    return tf.stop_gradient(postprocess_ops.clip_boxes(boxes, image_shape))

  def _of_class(self, encoded: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Box [batch, n, 4] of one class of each RoI."""
    if self._is_class_agnostic:
      return encoded
    num_rois, num_values = encoded.shape.as_list()[1:]
    encoded = tf.reshape(encoded, [-1, num_rois, num_values // 4, 4])
    one_hot = tf.one_hot(classes, num_values // 4, dtype=encoded.dtype)
    return tf.reduce_sum(encoded * one_hot[..., tf.newaxis], axis=2)

  def build_losses(
    self, outputs: Tensors, labels: Tensors, is_training: bool = True
  ) -> Tensors:
    """Scalar losses; `model_loss` is the sum of `watched_losses`.

    Args:
      outputs: of `build_outputs` in training.
      labels: `rpn_score_targets` {level: int32 [batch, h, w, anchors]} and
        `rpn_box_targets` {level: [batch, h, w, anchors * 4]}.
      is_training: without effect.
    """
    del is_training
    settings = self._loss_settings
    with tf.name_scope('losses'):
      losses = self._stage_losses(outputs)
      losses['rpn_score_loss'] = two_stage_losses.rpn_score_loss(
        outputs['rpn_score_outputs'],
        labels['rpn_score_targets'],
        settings.rpn_batch_size_per_image,
      )
      losses['rpn_box_loss'] = two_stage_losses.rpn_box_loss(
        outputs['rpn_box_outputs'],
        labels['rpn_box_targets'],
        settings.rpn_box_delta,
      )
      if self._mask_head:
        losses['mask_loss'] = two_stage_losses.mask_loss(
          outputs['mask_outputs'],
          outputs['mask_targets'],
          outputs['sampled_class_targets'],
        )
      losses['model_loss'] = tf.add_n([losses[k] for k in self.watched_losses])
    return losses

  def _stage_losses(self, outputs: Tensors) -> Tensors:
    """Those of each stage, where they have names, and their means."""
    losses, class_losses, box_losses = {}, [], []
    for stage in self._stages:
      suffix = stage.suffix
      classes = outputs['class_targets' + suffix]
      class_losses.append(
        two_stage_losses.class_loss(outputs['class_outputs' + suffix], classes)
      )
      box_losses.append(
        two_stage_losses.box_loss(
          self._of_class(outputs['box_outputs' + suffix], classes),
          outputs['box_targets' + suffix],
          classes,
          self._loss_settings.box_delta,
        )
      )
      if suffix:
        losses['fast_rcnn_class_loss' + suffix] = class_losses[-1]
        losses['fast_rcnn_box_loss' + suffix] = box_losses[-1]
        share = tf.reduce_mean(tf.cast(classes > 0, tf.float32))
        losses['fg_bg_ratio' + suffix] = share
    losses['fast_rcnn_class_loss'] = tf.add_n(class_losses) / len(class_losses)
    losses['fast_rcnn_box_loss'] = tf.add_n(box_losses) / len(box_losses)
    return losses

  def predictions(self, outputs: Tensors, labels: Tensors) -> Tensors:
    """Detections [batch, ...]; boxes in pixels of the model's image."""
    known = dict(outputs, image_info=labels['image_info'])
    return {key: known[key] for key in self.predicted}


def from_params(params: Any, stages: Sequence[Stage]) -> TwoStageModel:
  """Builds the model from the whole config.

  Raises:
    ConfigError: without suppression there are no detections.
  """
  if not params.postprocess.apply_nms:
    raise errors.ConfigError(
      'postprocess.apply_nms: false is not possible with '
      f'{params.type!r}, whose second stage gives detections. Use true.'
    )
  architecture = params.architecture
  layers = layer_kit.from_params(params)
  backbone = backbone_and_neck.backbone_generator(params, layers)
  return TwoStageModel(
    backbone=backbone,
    neck=backbone_and_neck.neck_generator(params, layers),
    rpn=rpn_head.from_params(params, layers),
    stages=stages,
    box_head=fast_rcnn_head.from_params(params, layers),
    mask_head=(
      mask_head.from_params(params, layers)
      if architecture.include_mask
      else None
    ),
    anchors=functools.partial(anchors.from_params, params),
    propose=roi_ops.ROIGenerator(params.roi_proposal),
    sample=target_ops.ROISampler(params.roi_sampling, step_randomness.uniform),
    sample_masks=target_ops.MaskSampler(
      architecture.mask_target_size,
      params.mask_sampling.num_mask_samples_per_image,
    ),
    detect=postprocess_ops.GenericDetectionGenerator(params.postprocess),
    loss_settings=two_stage_losses.LossSettings(
      params.rpn_score_loss.rpn_batch_size_per_im,
      params.rpn_box_loss.huber_loss_delta,
      params.frcnn_box_loss.huber_loss_delta,
    ),
    mask_size=architecture.mask_target_size,
    is_class_agnostic=params.frcnn_head.class_agnostic_bbox_pred,
    averages_logits=params.frcnn_head.cascade_class_ensemble,
    stride=2**architecture.max_level,
    **base_model.shared_arguments(params, backbone.scope),
  )
