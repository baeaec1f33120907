"""Values that contradict each other, or that no TPU can have."""

import pytest

from configs import resolver
from utils import errors

_PRE_PARSER = 'extract_objects_parser'


def _resolve(**changes):
  return resolver.resolve(
    params_override={'use_tpu': True, **changes}, mode='tpu_preflight'
  ).params


@pytest.mark.parametrize(
  'override,words',
  [
    (
      'shapemask_parser.use_category=false,'
      'shapemask_parser.mask_train_class=nonvoc',
      "shapemask_parser.mask_train_class: 'nonvoc' is without class 1",
    ),
    (
      'eval.best_metric=-novel_mask_AP',
      "mask_eval_class: all there is no 'novel_mask_AP'. Use 'mask_AP'",
    ),
    (
      'eval.best_metric=mask_AP,eval.mask_eval_class=voc',
      "Use 'novel_mask_AP'",
    ),
  ],
)
def test_masks_of_a_split_that_are_not_there(override, words):
  resolver.resolve(model='shapemask')
  with pytest.raises(errors.ConfigError) as info:
    resolver.resolve(model='shapemask', params_override=override)
  assert words in str(info.value)


@pytest.mark.parametrize(
  'block,name,value,words',
  [
    (
      'retinanet_parser',
      'unmatched_threshold',
      0.6,
      'retinanet_parser.unmatched_threshold is 0.6 and '
      'retinanet_parser.match_threshold is 0.5',
    ),
    (
      'architecture',
      'min_level',
      8,
      'architecture.min_level is 8 and architecture.max_level is 7',
    ),
    (
      'retinanet_parser',
      'aug_scale_min',
      2.0,
      'retinanet_parser.aug_scale_min <= retinanet_parser.aug_scale_max',
    ),
    (
      'architecture',
      'parser',
      'other_parser',
      "architecture.parser: 'other_parser' is unknown; retinanet has "
      'retinanet_parser',
    ),
  ],
)
def test_values_that_contradict_each_other_are_named(block, name, value, words):
  with pytest.raises(errors.ConfigError) as info:
    _resolve(**{block: {name: value}})
  assert words in str(info.value)


@pytest.mark.parametrize(
  'model,block,name,value,words',
  [
    (
      'mask_rcnn',
      'roi_sampling',
      'cascade_iou_thresholds',
      [0.6],
      "needs type: 'cascade_mask_rcnn'",
    ),
    (
      'cascade_mask_rcnn',
      'roi_sampling',
      'cascade_iou_thresholds',
      [],
      'with 1 or more items, each above 0 and below 1, not falling',
    ),
    *(
      (
        'cascade_mask_rcnn',
        'roi_sampling',
        'cascade_iou_thresholds',
        thresholds,
        f'roi_sampling.cascade_iou_thresholds: {thresholds}',
      )
      for thresholds in ([0.7, 0.6], [0.6, 1.0], [0.0, 0.6])
    ),
    ('mask_rcnn', 'architecture', 'mask_target_size', 27, 'even, at least 2'),
    (
      'mask_rcnn',
      'mask_sampling',
      'num_mask_samples_per_image',
      513,
      'roi_sampling.num_samples_per_image is 512',
    ),
    (
      'mask_rcnn',
      'roi_sampling',
      'bg_iou_thresh_hi',
      0.6,
      'roi_sampling.fg_iou_thresh is 0.5',
    ),
    *(
      ('shapemask', block, name, value, f'{other}.{name} is {default}')
      for block, name, value, other, default in (
        ('shapemask_head', 'mask_crop_size', 16, 'shapemask_parser', 32),
        ('shapemask_parser', 'upsample_factor', 2, 'shapemask_parser', 2),
        ('architecture', 'outer_box_scale', 1.5, 'shapemask_parser', 1.25),
      )
    ),
    (
      'shapemask',
      'architecture',
      'outer_box_scale',
      0.9,
      'architecture.outer_box_scale: 0.9 cannot work; it has to be float at '
      'least 1',
    ),
    (
      'shapemask',
      'eval',
      'mask_eval_class',
      'VOC',
      "'VOC' cannot work; it has to be str one of all, voc, nonvoc",
    ),
    ('shapemask', 'shapemask_parser', 'mask_min_level', 4, 'have no effect'),
    (
      'mask_rcnn',
      'roi_sampling',
      'bg_iou_thresh_lo',
      0.6,
      'roi_sampling.bg_iou_thresh_hi is 0.5',
    ),
  ],
)
def test_values_that_two_stages_cannot_have(model, block, name, value, words):
  with pytest.raises(errors.ConfigError) as info:
    resolver.resolve(
      model=model,
      params_override={'use_tpu': True, block: {name: value}},
      mode='tpu_preflight',
    )
  assert words in str(info.value)


@pytest.mark.parametrize(
  'pastes,pre_parser,has_masks,words',
  [
    (True, None, True, "with architecture.pre_parser: null. Use true and 'ext"),
    (False, _PRE_PARSER, True, 'copy_paste: false does not go with'),
    (True, 'extract_parser', True, "pre_parser: 'extract_parser'"),
    (True, _PRE_PARSER, False, 'architecture.include_mask is false'),
  ],
)
def test_copy_paste_is_whole(pastes, pre_parser, has_masks, words):
  with pytest.raises(errors.ConfigError) as info:
    _copy_paste(pastes, pre_parser, has_masks)
  assert str(info.value).startswith('maskrcnn_parser.copy_paste: ')
  assert words in str(info.value)
  assert _copy_paste(True, _PRE_PARSER).maskrcnn_parser.copy_paste
  assert not _copy_paste(False, '', False).architecture.pre_parser


def _copy_paste(pastes, pre_parser, has_masks=True):
  return resolver.resolve(
    model='cascade_mask_rcnn',
    params_override={
      'maskrcnn_parser': {'copy_paste': pastes},
      'architecture': {'pre_parser': pre_parser, 'include_mask': has_masks},
    },
  ).params


def test_masks_do_not_matter_without_them():
  params = resolver.resolve(
    model='mask_rcnn',
    params_override={
      'use_tpu': True,
      'architecture': {'include_mask': False},
      'roi_sampling': {'num_samples_per_image': 64},
    },
    mode='tpu_preflight',
  ).params
  assert params.mask_sampling.num_mask_samples_per_image == 128


@pytest.mark.parametrize(
  'num_cores,per_replica,start,also',
  [
    (8, 3, 'train.num_cores_per_replica: 3 cores', 'allowed are 1, 2, 4'),
    (8, 16, 'train.num_shards: 8 cores', 'multiple of 16 with --num_cores'),
    (9, None, 'train.num_shards: no TPU has 9 cores', 'multiple of 8, or 1, 2'),
    (20, 2, 'train.num_shards: no TPU has 20 cores', '--num_cores'),
    (3, None, 'train.num_shards: no TPU has 3 cores', '--num_cores'),
  ],
)
def test_cores_that_do_not_make_replicas(num_cores, per_replica, start, also):
  train = {'num_shards': num_cores, 'num_cores_per_replica': per_replica}
  with pytest.raises(errors.ConfigError) as info:
    _resolve(train=train)
  assert str(info.value).startswith(start)
  assert also in str(info.value)


def test_the_cores_of_a_tpu_do_not_matter_without_one():
  train = {'num_shards': 9, 'num_cores_per_replica': 2}
  assert _resolve(use_tpu=False, train=train).train.num_shards == 9


@pytest.mark.parametrize(
  'dims,num_cores,words',
  [
    ([[1, 4, 2, 1]], None, 'needs train.num_cores_per_replica'),
    ([[1, 4, 2, 1]], 4, 'whose product is train.num_cores_per_replica, 4'),
    ([[4, 2]], 8, '4 numbers of parts'),
    ([[1, -4, -2, 1]], 8, '4 numbers of parts'),
    ([8], 8, '4 numbers of parts'),
    ([], 8, 'has to part the images'),
    ([[1, 8, 1, 1], [1, 8, 1, 1]], 8, 'parts the labels'),
    # Without parts all cores would compute the same.
    (None, 8, 'null has to part the images among the 8 cores'),
    ([None, 'None'], 8, 'has to part the images'),
    (['None', 'None'], 8, "such as [[1, 8, 1, 1], 'None']"),
  ],
)
def test_parts_that_do_not_fit_are_refused(dims, num_cores, words):
  train = {'input_partition_dims': dims, 'num_cores_per_replica': num_cores}
  with pytest.raises(errors.ConfigError) as info:
    _resolve(train=train)
  assert str(info.value).startswith('train.input_partition_dims: ')
  assert words in str(info.value)


@pytest.mark.parametrize('labels', [[], ['None'], [None]])
def test_parts_that_fit(labels):
  dims = [[1, 4, 2, 1], *labels]
  train = {'input_partition_dims': dims, 'num_cores_per_replica': 8}
  assert _resolve(train=train).train.input_partition_dims == dims
