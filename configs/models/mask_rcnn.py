"""Parameters of Faster and Mask R-CNN (arXiv:1506.01497, 1703.06870)."""

from typing import Any, Optional

from configs import base_config, restrictions
from configs.keys import (
  COUNT,
  COUNT_FROM_0,
  FROM_0,
  POSITIVE,
  POSITIVE_SHARE,
  SHARE,
  Key,
  Values,
  block,
  with_defaults,
)
from utils import errors

PARSERS = ('maskrcnn_parser',)

EVAL_TYPES = ('box_and_mask', 'box')

# The last layer but one of the mask head doubles the side of its input.
_EVEN = Values('int', 'even, at least 2', lambda x: x >= 2 and x % 2 == 0)
_THRESHOLDS = Values(
  'list of float',
  'with 1 or more items, each above 0 and below 1, not falling',
  lambda x: min(x, default=0) > 0 and max(x) < 1 and x == sorted(x),
)

_PARSER = block(
  'maskrcnn_parser',
  *with_defaults(base_config.INSTANCE_PARSER, {'output_size': [1024, 1024]}),
  Key('rpn_match_threshold', 0.7, 'IoU from which it fits', POSITIVE_SHARE),
  Key('rpn_unmatched_threshold', 0.3, 'IoU below: background', SHARE),
  Key('rpn_batch_size_per_im', 256, 'anchors drawn of an image', COUNT),
  Key('rpn_fg_fraction', 0.5, 'most of them that are objects', SHARE),
  Key('mask_crop_size', 112, "side of an object's mask (pixels)", COUNT),
  Key('copy_paste', False, 'objects of another image over each image'),
  Key('occluded_box_threshold', 10.0, 'a side moves by it (pixels)', FROM_0),
  Key('occluded_mask_threshold', 300.0, 'less is left: it goes', FROM_0),
  chosen_by='architecture.parser',
)

_MASK = block(
  'architecture',
  Key('include_mask', True, 'false makes it Faster R-CNN'),
  Key('mask_target_size', 28, 'side of a predicted mask (cells)', _EVEN),
)

_PRE_PARSER = 'extract_objects_parser'
# Only here is there a second data set.
_OF_COPY_PASTE = (
  'architecture.pre_parser',
  'train.pre_parser_dataset.file_pattern',
)

_TOWER = (
  Key('num_filters', 256, 'channels of the convolutions', COUNT),
  Key('use_separable_conv', False, 'separable convolutions'),
  Key('use_batch_norm', False, 'batch norm after each layer'),
)

_RPN_HEAD = block(
  'rpn_head',
  Key('anchors_per_location', None, 'deprecated, follows from anchor', COUNT),
  Key('num_convs', 1, 'convolutions before the outputs', COUNT_FROM_0),
  *_TOWER,
  Key('cast_to_float32', False, 'outputs in float32 under bfloat16'),
)

_BOX_HEAD = block(
  'frcnn_head',
  Key('num_convs', 0, 'convolutions', COUNT_FROM_0),
  *_TOWER,
  Key('num_fcs', 2, 'dense layers after them', COUNT_FROM_0),
  Key('fc_dims', 1024, 'units of a dense layer', COUNT),
  Key('class_agnostic_bbox_pred', False, 'one box for all classes'),
  Key('cascade_class_ensemble', False, "mean of all stages' class logits"),
)

_MASK_HEAD = block(
  'mrcnn_head',
  Key('num_convs', 4, 'convolutions', COUNT_FROM_0),
  *_TOWER,
  Key('class_agnostic_mask_pred', False, 'one mask for all classes'),
)

_PROPOSAL = (
  Key('rpn_pre_nms_top_k', 1000, 'best boxes of a level', COUNT),
  Key('rpn_post_nms_top_k', 1000, 'kept of a level, and of all', COUNT),
  Key('rpn_nms_threshold', 0.7, 'IoU at which one is dropped', SHARE),
  Key('rpn_score_threshold', 0.0, 'a score must be above it', SHARE),
  Key('rpn_min_size_threshold', 0.0, 'smaller ones go (pixels)', FROM_0),
)

_ROI_PROPOSAL = block(
  'roi_proposal',
  *with_defaults(_PROPOSAL, {'rpn_pre_nms_top_k': 2000}),
  *(key._replace(path='test_' + key.path) for key in _PROPOSAL),
  Key('use_batched_nms', False, "by TensorFlow's combined suppression"),
)

_ROI_SAMPLING = block(
  'roi_sampling',
  Key('num_samples_per_image', 512, 'RoIs that an image trains', COUNT),
  Key('fg_fraction', 0.25, 'most of them that are objects', SHARE),
  Key('fg_iou_thresh', 0.5, 'IoU above which one is an object', SHARE),
  Key('bg_iou_thresh_hi', 0.5, 'IoU below which it is background', SHARE),
  Key('bg_iou_thresh_lo', 0.0, 'and from which', SHARE),
  Key('mix_gt_boxes', True, 'groundtruth boxes are proposals too'),
  Key(
    'cascade_iou_thresholds',
    None,
    'one for each stage after the first',
    _THRESHOLDS,
  ),
)

_MASK_SAMPLING = block(
  'mask_sampling',
  Key('num_mask_samples_per_image', 128, 'RoIs that train masks', COUNT),
)

_LOSSES = (
  Key('rpn_score_loss.rpn_batch_size_per_im', 256, 'divides the loss', COUNT),
  Key('rpn_box_loss.huber_loss_delta', 1 / 9, 'knee (box units)', POSITIVE),
  Key('frcnn_box_loss.huber_loss_delta', 1.0, 'knee (box units)', POSITIVE),
)

KEYS = (
  *with_defaults(
    (
      *(
        key._replace(no_effect=key.no_effect and key.path not in _OF_COPY_PASTE)
        for key in base_config.COMMON
      ),
      *base_config.ANCHOR,
      *base_config.NECKS,
      *base_config.POSTPROCESS,
      *base_config.COCO_EVAL,
    ),
    {
      'architecture.min_level': 2,
      'architecture.max_level': 6,
      'anchor.num_scales': 1,
      'anchor.anchor_size': 8.0,
      'postprocess.pre_nms_num_boxes': 1000,
    },
  ),
  *_PARSER,
  *_MASK,
  *_RPN_HEAD,
  *_BOX_HEAD,
  *_MASK_HEAD,
  *_ROI_PROPOSAL,
  *_ROI_SAMPLING,
  *_MASK_SAMPLING,
  *_LOSSES,
  # There are no losses to evaluate.
  Key('eval.type', EVAL_TYPES[0], ', '.join(EVAL_TYPES)),
)


def _one_stage(params: Any) -> Optional[str]:
  """Only a cascade has further stages."""
  thresholds = params.roi_sampling.cascade_iou_thresholds
  if thresholds is None:
    return None
  return (
    f'roi_sampling.cascade_iou_thresholds: {thresholds} needs type: '
    f"'cascade_mask_rcnn'; {params.type!r} has one stage. Use null, or that "
    'type.'
  )


_FEWER_MASKS = restrictions.comparison(
  'mask_sampling.num_mask_samples_per_image <= '
  'roi_sampling.num_samples_per_image'
)


def _mask_samples(params: Any) -> Optional[str]:
  """Masks are learned of some of the RoIs."""
  return _FEWER_MASKS(params) if params.architecture.include_mask else None


def _copy_paste(params: Any) -> Optional[str]:
  """Both switches of copy-paste, and masks to paste."""
  is_on = params.maskrcnn_parser.copy_paste
  pre_parser = params.architecture.pre_parser
  if (pre_parser or None) != (_PRE_PARSER if is_on else None):
    return (
      f'maskrcnn_parser.copy_paste: {errors.shown(is_on)} does not go with '
      f'architecture.pre_parser: {errors.shown(pre_parser)}. Use true and '
      f'{_PRE_PARSER!r}, or false and null.'
    )
  if is_on and not params.architecture.include_mask:
    return (
      'maskrcnn_parser.copy_paste: true pastes objects along their masks, but '
      'architecture.include_mask is false. Set that to true, or copy_paste to '
      'false and architecture.pre_parser to null.'
    )
  return None


SHARED_RESTRICTIONS = (
  *base_config.RESTRICTIONS,
  *base_config.detection_restrictions('maskrcnn_parser'),
  *map(
    restrictions.comparison,
    (
      'maskrcnn_parser.rpn_unmatched_threshold <= '
      'maskrcnn_parser.rpn_match_threshold',
      'roi_sampling.bg_iou_thresh_lo <= roi_sampling.bg_iou_thresh_hi',
      'roi_sampling.bg_iou_thresh_hi <= roi_sampling.fg_iou_thresh',
    ),
  ),
  _mask_samples,
  _copy_paste,
)

RESTRICTIONS = (*SHARED_RESTRICTIONS, _one_stage)
