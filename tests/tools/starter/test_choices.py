import numpy as np
import pytest

from evaluation.dataset import anchor_fit
from tools.starter import choices, networks, plan, record_sets
from tools.starter import facts as facts_lib

_SETS = record_sets.RecordSets('t-*', 'v-*', 'v.json', '')
_BLOCK = anchor_fit.Block(3, 5, 3, [1.0], 2.5, 0.994)


def _facts(**changes):
  facts = facts_lib.Facts(
    files=_SETS,
    num_images=200,
    num_evaluated=50,
    image_sizes=np.int32([[480, 640]]),
    boxes=np.zeros([0, 4]),
    box_image_sizes=np.zeros([0, 2]),
    box_classes=np.zeros([0], int),
    most_objects=28,
    num_classes=4,
    names={1: 'RBC'},
  )
  return facts._replace(**changes)


def _values(
  facts=None, preset='small_cpu', images=6476, batch=8, number=3, checkpoint=''
):
  made = choices.choose(
    facts or _facts(),
    plan.Plan(
      network=networks.of_preset(preset, checkpoint=checkpoint),
      batch=batch,
      size=(256, 320),
      small=20.9,
      block=_BLOCK,
      images_per_second=8.0,
      images=images,
      evaluations=number,
    ),
  )
  assert all(why for _, why in made.values())
  return {path: value for path, (value, _) in made.items()}


def test_the_whole_config():
  assert _values() == {
    'type': 'retinanet',
    'architecture.num_classes': 4,
    'architecture.min_level': 3,
    'architecture.max_level': 5,
    'resnet.resnet_depth': 10,
    'fpn.fpn_feat_dims': 64,
    'retinanet_head.num_convs': 2,
    'retinanet_head.num_filters': 64,
    'batch_norm_activation.batch_norm_momentum': 0.97,
    'anchor.num_scales': 3,
    'anchor.aspect_ratios': [1.0],
    'anchor.anchor_size': 2.5,
    'retinanet_parser.output_size': [256, 320],
    'retinanet_parser.aug_rand_hflip': True,
    'retinanet_parser.aug_scale_min': 0.8,
    'retinanet_parser.aug_scale_max': 1.2,
    'retinanet_parser.max_num_instances': 30,
    'train.train_file_pattern': 't-*',
    'train.train_batch_size': 8,
    'train.total_steps': 800,
    'train.learning_rate.type': 'cosine',
    'train.learning_rate.base_batch_size': 8,
    'train.learning_rate.init_learning_rate': 0.02,
    'train.learning_rate.warmup_learning_rate': 0.002,
    'train.learning_rate.warmup_steps': 50,
    'train.ema_decay': 0.975,
    'train.gradient_clip_norm': 10.0,
    'eval.eval_file_pattern': 'v-*',
    'eval.val_json_file': 'v.json',
    'eval.num_steps_per_eval': 267,
    'eval.per_category_metrics': True,
  }


def test_rates_and_warm_up_by_the_linear_rule():
  # 0.08 and 500 steps for a batch of 64.
  values = _values(preset='retinanet_resnet50', images=400_000, batch=16)
  rate = 'train.learning_rate.'
  assert values['train.total_steps'] == 25_000
  assert values[rate + 'init_learning_rate'] == 0.02
  assert values[rate + 'warmup_learning_rate'] == 0.001675
  assert values[rate + 'warmup_steps'] == 1250
  assert values[rate + 'base_batch_size'] == 16


@pytest.mark.parametrize(
  'images, scales', [(2000, (1, 1)), (4000, (0.8, 1.2)), (20_000, (0.5, 2.0))]
)
def test_jitter_by_epochs(images, scales):
  values = _values(images=images)
  jitter = 'retinanet_parser.aug_scale_'
  assert (values[jitter + 'min'], values[jitter + 'max']) == scales


@pytest.mark.parametrize(
  'name, flips',
  [
    *(('turn left', False), ('Right_hand', False), ('7', False), ('b', False)),
    *(('leftover', True), ('bright', True), ('RBC', True)),
  ],
)
def test_no_flip_of_what_has_sides(name, flips):
  values = _values(_facts(names={1: 'car', 2: name}))
  assert values['retinanet_parser.aug_rand_hflip'] is flips


def test_room_for_all_objects():
  values = _values(_facts(most_objects=151))
  assert values['retinanet_parser.max_num_instances'] == 160
  assert values['postprocess.max_total_size'] == 160


def test_early_stop_once_there_are_evaluations_enough():
  assert 'train.early_stop_evaluations' not in _values(number=7)
  assert _values(number=8)['train.early_stop_evaluations'] == 4


def test_checkpoint_of_a_warm_start():
  assert 'train.checkpoint.path' not in _values()
  values = _values(checkpoint={'path': 'a/b', 'prefix': 'c/'})
  assert values['train.checkpoint.path'] == 'a/b'
  assert values['train.checkpoint.prefix'] == 'c/'


def test_reasons_stand_behind():
  assert choices.text(
    {
      'c.b': ([1, 2], 'short'),
      'a': ('x' * 50, 'why'),
      'c.d.e': (0.5, 'likewise'),
    },
    ['Title.', ''],
  ) == (
    '# Title.\n#\n'
    'c:\n'
    '  b: [1, 2]                               # short\n'
    '  d:\n'
    '    e: 0.5                                # likewise\n'
    f'a: {"x" * 50}  # why\n'
  )
