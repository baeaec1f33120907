"""The figures of docs/models.md, counted."""

import os
import re

import pytest
import tensorflow.compat.v1 as tf

from configs import presets, resolver
from modeling import factory, model_stats
from utils import mode_keys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
with open(os.path.join(_ROOT, 'docs', 'models.md'), encoding='utf-8') as page:
  _PAGE = page.read()
# A preset, or parameters, and what there is of it.
_ROWS = re.findall(
  r'^\| \[?`([^`]+)`[^|]*((?:\| [\d,]+ ){3})', _PAGE, re.MULTILINE
)
_PRESETS = {preset.name: preset.path for preset in presets.find_presets()}
_SIZE = 128
# One of them is quick.
_QUICK = 'resnet.resnet_depth=18,architecture.num_classes=5'


@pytest.mark.parametrize(
  'name,figures',
  [
    pytest.param(*row, marks=[] if row[0] == _QUICK else pytest.mark.slow)
    for row in _ROWS
  ],
)
def test_counts(name, figures):
  config = {'params_override': name}
  if name in _PRESETS:
    config = {'config_file': _PRESETS[name]}
  params = resolver.resolve(flags={'use_tpu': False}, **config).params
  info = [[_SIZE, _SIZE], [_SIZE, _SIZE], [1, 1], [0, 0]]
  with tf.Graph().as_default():
    factory.model_generator(params).build_outputs(
      tf.zeros([1, _SIZE, _SIZE, 3]),
      {'image_info': tf.constant([info], tf.float32)},
      mode_keys.PREDICT,
    )
    counted = (
      len(tf.global_variables()),
      len(tf.trainable_variables()),
      int(model_stats.count_parameters()),
    )
  assert figures.replace(',', '').split('|')[1:] == [
    f' {count} ' for count in counted
  ]


def test_every_preset_has_its_place():
  assert len(_ROWS) > 20
  for name in _PRESETS:
    assert f'`{name}`' in _PAGE, name
