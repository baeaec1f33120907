"""Labels of a training step of two-stage detectors, made without a parser."""

import numpy as np
import tensorflow.compat.v1 as tf

from tests import golden_boxes

# A small network of the golden numbers.
SMALL = {
  'type': 'mask_rcnn',
  'architecture': {'num_classes': 5, 'min_level': 2, 'max_level': 5},
  'fpn': {'fpn_feat_dims': 64},
  'rpn_head': {'num_filters': 64},
  'frcnn_head': {'fc_dims': 128},
  'mrcnn_head': {'num_convs': 2, 'num_filters': 32},
  'roi_proposal': {
    'rpn_pre_nms_top_k': 200,
    'rpn_post_nms_top_k': 56,
    'test_rpn_pre_nms_top_k': 200,
    'test_rpn_post_nms_top_k': 56,
  },
  'roi_sampling': {'num_samples_per_image': 64},
  'mask_sampling': {'num_mask_samples_per_image': 16},
  'maskrcnn_parser': {'max_num_instances': 8, 'mask_crop_size': 28},
  'postprocess': {'max_total_size': 20, 'pre_nms_num_boxes': 200},
  'resnet': {'resnet_depth': 18},
}
LOW_IOU = {'fg_iou_thresh': 0.3, 'bg_iou_thresh_hi': 0.3}
CASCADE = {'cascade_iou_thresholds': [0.6, 0.7]}
BATCH_NORM_HEADS = {
  'rpn_head': {'use_batch_norm': True, 'num_convs': 2},
  'frcnn_head': {
    'fc_dims': 64,
    'use_batch_norm': True,
    'num_convs': 2,
    'num_filters': 32,
    'num_fcs': 1,
  },
  'mrcnn_head': {'num_filters': 16, 'use_batch_norm': True},
}


def merged(*overrides):
  """Later ones win."""
  result = {}
  for override in overrides:
    for key, value in override.items():
      if isinstance(value, dict):
        value = merged(result.get(key, {}), value)
      result[key] = value
  return result


def make(params, size, objects, desired=None, seed=11):
  """Images and labels, as constants; what they mean is of no concern.

  Args:
    params: the whole config.
    size: (height, width) of the images.
    objects: how many each image has.
    desired: (height, width) without padding.
    seed: of the numbers.
  """
  rng = np.random.RandomState(seed)
  batch_size, (height, width) = len(objects), size
  images = golden_boxes.normal(rng, batch_size, height, width, 3)
  info = [[size, desired or size, [1, 1], [0, 0]]] * batch_size
  labels = {
    'image_info': np.float32(info),
    'rpn_score_targets': {},
    'rpn_box_targets': {},
  }
  num_anchors = params.anchor.num_scales * len(params.anchor.aspect_ratios)
  architecture = params.architecture
  for level in range(architecture.min_level, architecture.max_level + 1):
    shape = (batch_size, height >> level, width >> level, num_anchors)
    scores = rng.choice([-1, 0, 1], shape, p=[0.6, 0.3, 0.1]).astype(np.int32)
    boxes = (rng.standard_normal((*shape, 4)) * 0.5).astype(np.float32)
    boxes[(scores < 1) & (rng.uniform(size=shape) > 0.02)] = 0
    labels['rpn_score_targets'][level] = scores
    labels['rpn_box_targets'][level] = boxes.reshape(*shape[:3], -1)
  count = params.maskrcnn_parser.max_num_instances
  side = params.maskrcnn_parser.mask_crop_size
  labels['gt_boxes'] = -np.ones((batch_size, count, 4), np.float32)
  labels['gt_classes'] = -np.ones((batch_size, count), np.int64)
  if architecture.include_mask:
    labels['gt_masks'] = -np.ones((batch_size, count, side, side), np.float32)
  for i, number in enumerate(objects):
    boxes = golden_boxes.boxes_in(rng, number, *(desired or size))
    labels['gt_boxes'][i, :number] = boxes
    classes = rng.randint(1, architecture.num_classes, number)
    labels['gt_classes'][i, :number] = classes
    if architecture.include_mask:
      masks = golden_boxes.soft_masks(rng, number, side)
      labels['gt_masks'][i, :number] = masks
  return tf.nest.map_structure(tf.constant, (images, labels))
