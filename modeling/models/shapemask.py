"""ShapeMask (Kuo et al., arXiv:1904.03239)."""

from typing import Any, Callable, Dict, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from modeling import (
  instance_mask_losses,
  model_registry,
  served_output,
)
from modeling.architecture import layer_kit
from modeling.architecture.heads import prior_mask_head, refined_mask_head
from modeling.models import retinanet
from modeling.training import replicas
from ops import box_ops, postprocess_ops
from utils import errors, mode_keys, shape_priors

Tensors = Dict[str, Any]
_Served = served_output.ServedOutput
_PRIORS_KEY = 'shapemask_head.shape_prior_path'


class ShapeMaskModel(retinanet.RetinanetModel):
  """RetinaNet, and masks from shape priors, refined twice.

  Args:
    prior_head: see `PriorMaskHead`.
    coarse_head: see `RefinedMaskHead`.
    fine_head: see `RefinedMaskHead`.
    outer_box_scale: of the boxes that masks cover, in sides of the boxes.
    mask_loss_weights: factors of the losses of priors, coarse and fine masks.
    **kwargs: of `RetinanetModel`.
  """

  watched_losses = (
    'retinanet_cls_loss',
    'retinanet_box_loss',
    'shapemask_prior_loss',
    'shapemask_coarse_mask_loss',
    'shapemask_fine_mask_loss',
  )
  predicted = (
    *retinanet.RetinanetModel.predicted,
    'detection_outer_boxes',
    'detection_masks',
  )
  served_outputs = {
    **served_output.DETECTIONS,
    'detection_masks': _Served('DetectionMasks', served_output.MASKS),
    'detection_outer_boxes': _Served(
      'DetectionOuterBoxes', served_output.MASK_BOXES
    ),
  }

  def __init__(
    self,
    prior_head: Callable[..., Any],
    coarse_head: Callable[..., Any],
    fine_head: Callable[..., Any],
    outer_box_scale: float,
    mask_loss_weights: Tuple[float, float, float],
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._prior_head = prior_head
    self._coarse_head = coarse_head
    self._fine_head = fine_head
    self._outer_box_scale = outer_box_scale
    self._mask_loss_weights = mask_loss_weights

  def _build_outputs(
    self, images: tf.Tensor, labels: Tensors, mode: str
  ) -> Tensors:
    """Returns RetinaNet's outputs, and those of n boxes of each image.

    `fpn_features`, a dict by level; `prior_masks` and `coarse_mask_logits`
    [batch, n, size, size], `fine_mask_logits` [batch, n, factor * size, ...].
    In training boxes come from the labels. Otherwise they are the detections,
    and there are `detection_outer_boxes` [batch, n, 4], in pixels of the
    model's image, and `detection_masks`, probabilities within them.
    """
    is_training = mode == mode_keys.TRAIN
    features, outputs = self._features_and_outputs(images, is_training)
    outputs['fpn_features'] = features
    if is_training:
      boxes, outer_boxes = labels['mask_boxes'], labels['mask_outer_boxes']
      classes = tf.cast(labels['mask_classes'], tf.int32)
    else:
      outputs.update(self._detections(outputs, images, labels))
      boxes = outputs['detection_boxes']
      padded_size = tf.constant([[images.shape.as_list()[1:3]]])
      outer_boxes = postprocess_ops.clip_boxes(
        box_ops.scale_boxes(boxes, self._outer_box_scale), padded_size
      )
      classes = tf.cast(outputs['detection_classes'], tf.int32)
    crops, priors = self._prior_head(features, boxes, outer_boxes, classes)
    coarse = self._coarse_head(crops, priors, classes, is_training)
    fine = self._fine_head(crops, tf.sigmoid(coarse), classes, is_training)
    outputs.update(
      prior_masks=priors, coarse_mask_logits=coarse, fine_mask_logits=fine
    )
    if not is_training:
      outputs.update(
        detection_classes=classes,
        detection_outer_boxes=outer_boxes,
        detection_masks=tf.sigmoid(fine),
      )
    self._log_stats(images)
    return outputs

  def loss_normalizer(
    self, labels: Tensors, is_training: bool = True
  ) -> Tuple[tf.Tensor, Tensors]:
    """RetinaNet's, and in training the cells of coarse and fine targets, [3].

    Args:
      labels: `num_positives` [batch], in training also `mask_targets` and
        `fine_mask_targets`.
      is_training: whether there are masks.
    """
    anchors, logged = super().loss_normalizer(labels, is_training)
    if not is_training:
      return anchors, logged
    cells = [
      replicas.mean_over_replicas(tf.reduce_sum(labels[key]))
      for key in ('mask_targets', 'fine_mask_targets')
    ]
    return tf.stack([anchors, *cells]), logged

  def normalized_losses(
    self, outputs: Tensors, labels: Tensors, normalizer: tf.Tensor
  ) -> Tensors:
    """Losses of a batch, or a part of it.

    Args:
      outputs: of `build_outputs`.
      labels: those of RetinaNet; in training also `mask_targets` and
        `fine_mask_targets`, [batch, n, ...] of 0 and 1, and `mask_is_valid`
        [batch, n].
      normalizer: of `loss_normalizer`.

    Returns:
      `watched_losses` and `model_loss`; outside of training RetinaNet's.
    """
    if 'mask_targets' not in labels:
      return super().normalized_losses(outputs, labels, normalizer)
    anchors, cells, fine_cells = tf.unstack(normalizer, num=3)
    detector = super().normalized_losses(outputs, labels, anchors)
    targets, is_valid = labels['mask_targets'], labels['mask_is_valid']
    with tf.name_scope('mask_losses'):
      masks = [
        instance_mask_losses.squared_error(
          outputs['prior_masks'], targets, is_valid, cells
        ),
        instance_mask_losses.cross_entropy(
          outputs['coarse_mask_logits'], targets, is_valid, cells
        ),
        instance_mask_losses.cross_entropy(
          outputs['fine_mask_logits'],
          labels['fine_mask_targets'],
          is_valid,
          fine_cells,
        ),
      ]
      weighted = [w * loss for w, loss in zip(self._mask_loss_weights, masks)]
      model_loss = tf.add_n([detector['model_loss'], *weighted])
    losses = [detector['cls_loss'], detector['box_loss'], *masks]
    return dict(zip(self.watched_losses, losses), model_loss=model_loss)


@model_registry.register_model('shapemask')
def from_params(params: Any) -> ShapeMaskModel:
  """Builds the model from the whole config.

  Raises:
    ConfigError: the priors do not fit; without suppression there are no
      detections to find the masks of.
  """
  if not params.postprocess.apply_nms:
    raise errors.ConfigError(
      'postprocess.apply_nms: false is not possible with '
      f'{params.type!r}, which finds the masks of detections. Use true.'
    )
  head, weights = params.shapemask_head, params.shapemask_loss
  layers = layer_kit.from_params(params)
  num_masks = 1
  if head.use_category_for_mask:
    num_masks = params.architecture.num_classes
  shared = {
    'num_masks': num_masks,
    'layers': layers,
    'num_convs': head.num_convs,
  }
  return ShapeMaskModel(
    prior_head=prior_mask_head.PriorMaskHead(
      _priors(head, num_masks),
      head.num_downsample_channels,
      head.mask_crop_size,
    ),
    coarse_head=refined_mask_head.RefinedMaskHead('coarse_mask', **shared),
    fine_head=refined_mask_head.RefinedMaskHead(
      'fine_mask',
      upsample_factor=head.upsample_factor,
      subtracts_instance=True,
      **shared,
    ),
    outer_box_scale=params.architecture.outer_box_scale,
    mask_loss_weights=(
      weights.shape_prior_loss_weight,
      weights.coarse_mask_loss_weight,
      weights.fine_mask_loss_weight,
    ),
    **retinanet.arguments(params, layers),
  )


def _priors(head: Any, num_masks: int) -> np.ndarray:
  if not head.shape_prior_path:
    return np.zeros([num_masks, 1] + 2 * [head.mask_crop_size], np.float32)
  with errors.naming(f'{_PRIORS_KEY}: '):
    return shape_priors.read(head.shape_prior_path, num_masks)
