"""Labels of a training step of ShapeMask, made without a parser."""

import numpy as np
import tensorflow.compat.v1 as tf

from tests import golden_boxes

# A small network of the golden numbers.
SMALL = {
  'type': 'shapemask',
  'architecture': {'num_classes': 5},
  'resnet': {'resnet_depth': 18},
  'fpn': {'fpn_feat_dims': 64},
  'retinanet_head': {'num_filters': 64, 'num_convs': 1},
  'shapemask_head': {
    'num_downsample_channels': 16,
    'num_convs': 1,
    'mask_crop_size': 16,
  },
  'shapemask_parser': {'mask_crop_size': 16, 'num_sampled_masks': 4},
  'postprocess': {'max_total_size': 20, 'pre_nms_num_boxes': 300},
}
# Of the tiny detector of `tiny_run`, which does without `retinanet_parser`.
_SIZES = {'mask_crop_size': 8, 'upsample_factor': 2}
TINY = {
  'type': 'shapemask',
  'retinanet_parser': None,
  'shapemask_head': {'num_downsample_channels': 8, 'num_convs': 1, **_SIZES},
  'shapemask_parser': {
    'output_size': [64, 64],
    'num_sampled_masks': 2,
    **_SIZES,
  },
}


def make(params, size, batch_size, seed):
  """Images and labels, arrays; what they mean is of no concern.

  Args:
    params: the whole config.
    size: (height, width) of the images.
    batch_size: images.
    seed: of the numbers.
  """
  rng = np.random.RandomState(seed)
  (height, width), architecture = size, params.architecture
  images = golden_boxes.normal(rng, batch_size, height, width, 3)
  info = [[size, size, [1, 1], [0, 0]]] * batch_size
  labels = {
    'image_info': np.float32(info),
    'cls_targets': {},
    'box_targets': {},
  }
  num_anchors = params.anchor.num_scales * len(params.anchor.aspect_ratios)
  for level in range(architecture.min_level, architecture.max_level + 1):
    sides = tuple(-(-side // 2**level) for side in size)
    shape = (batch_size, *sides, num_anchors)
    kinds = rng.choice([-1, 0, 1], shape, p=[0.6, 0.3, 0.1]).astype(np.int32)
    boxes = (rng.standard_normal((*shape, 4)) * 0.5).astype(np.float32)
    classes = rng.randint(1, architecture.num_classes, shape)
    boxes[kinds < 1] = 0
    others = np.where(kinds < 0, -1, -2)
    targets = np.where(kinds > 0, classes, others).astype(np.int32)
    labels['cls_targets'][level] = targets
    labels['box_targets'][level] = boxes.reshape(*shape[:3], -1)
  counts = [
    [np.sum(targets[i] > 0) for targets in labels['cls_targets'].values()]
    for i in range(batch_size)
  ]
  labels['num_positives'] = np.sum(counts, axis=1).astype(np.float32)
  labels.update(_mask_labels(params, size, batch_size, rng))
  return images, labels


def _mask_labels(params, size, batch_size, rng):
  settings = params.shapemask_parser
  count, side = settings.num_sampled_masks, settings.mask_crop_size
  factor = settings.upsample_factor
  many = range(batch_size)
  boxes = np.stack([golden_boxes.boxes_in(rng, count, *size) for _ in many])
  centre = (boxes[..., :2] + boxes[..., 2:]) / 2
  half = (boxes[..., 2:] - boxes[..., :2]) * settings.outer_box_scale / 2
  outer = np.concatenate([centre - half, centre + half], axis=-1)
  last = np.tile(size, 2) - 1
  masks = [golden_boxes.soft_masks(rng, count, side) > 0.5 for _ in many]
  masks = np.stack(masks).astype(np.float32)
  classes = rng.randint(1, params.architecture.num_classes, boxes.shape[:2])
  return {
    'mask_boxes': boxes,
    'mask_outer_boxes': np.clip(outer, 0, last).astype(np.float32),
    'mask_targets': masks,
    'fine_mask_targets': masks.repeat(factor, 2).repeat(factor, 3),
    'mask_classes': classes.astype(np.int64),
    'mask_is_valid': (rng.uniform(size=boxes.shape[:2]) < 0.8).astype(np.int32),
  }


def constants(batch):
  return tf.nest.map_structure(tf.constant, batch)
