"""Builds the model that a config names."""

import functools
from typing import Any, Dict

import numpy as np
import tensorflow.compat.v1 as tf

from modeling import base_model, losses
from modeling.architecture import backbone_and_neck, layer_kit
from modeling.architecture.heads import retinanet_head
from modeling.models import retinanet as retinanet_model
from ops import anchors, postprocess_ops
from utils import registry

MODELS = registry.Registry('type')


def model_generator(params: Any) -> base_model.DetectionModel:
  """Returns the model named by `params.type`."""
  return MODELS.get(params.type)(params)


@MODELS.register('retinanet')
def _retinanet(params: Any) -> retinanet_model.RetinanetModel:
  layers = layer_kit.from_params(params)
  architecture = params.architecture
  backbone = backbone_and_neck.backbone_generator(params, layers)
  return retinanet_model.RetinanetModel(
    backbone=backbone,
    neck=backbone_and_neck.neck_generator(params, layers),
    head=retinanet_head.from_params(params, layers),
    detection_generator=postprocess_ops.MultilevelDetectionGenerator(
      architecture.min_level, architecture.max_level, params.postprocess
    ),
    class_loss=losses.RetinanetClassLoss(
      params.retinanet_loss.focal_loss_alpha,
      params.retinanet_loss.focal_loss_gamma,
      architecture.num_classes,
      recompute=layers.recompute,
    ),
    box_loss=losses.RetinanetBoxLoss(params.retinanet_loss.huber_loss_delta),
    anchors=functools.partial(anchor_boxes, params),
    max_level=architecture.max_level,
    box_loss_weight=params.retinanet_loss.box_loss_weight,
    normalizer_momentum=params.retinanet_loss.normalizer_momentum,
    output_flat_fpn_features=architecture.output_flat_fpn_features,
    backbone_scope=backbone.scope,
    use_bfloat16=architecture.use_bfloat16,
    frozen_variable_prefix=params.train.frozen_variable_prefix,
    regularization_variable_regex=params.train.regularization_variable_regex,
    l2_weight_decay=params.train.l2_weight_decay,
    fast_cpu_gradients=_computes_on_cpu(params),
  )


def _computes_on_cpu(params: Any) -> bool:
  gpus = tf.config.experimental.list_physical_devices('GPU')
  return not params.use_tpu and not gpus


def anchor_boxes(params: Any, height: int, width: int) -> Dict[int, np.ndarray]:
  """Anchors of a config.

  Args:
    params: the whole config.
    height, width: of the network's image, pixels.

  Returns:
    {level: float32 [n, 4]}, `[ymin, xmin, ymax, xmax]`, pixels, finest first.
  """
  return anchors.Anchors(
    params.architecture.min_level,
    params.architecture.max_level,
    params.anchor.num_scales,
    params.anchor.aspect_ratios,
    params.anchor.anchor_size,
    (height, width),
  ).boxes_by_level
