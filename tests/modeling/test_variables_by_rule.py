"""Variables of the networks of which no golden list exists."""

import pytest
import tensorflow.compat.v1 as tf

from modeling.architecture import backbone_and_neck, layer_kit
from tests import golden_numbers
from tests.modeling import variables_by_rule

_SIZE = 128


def _built(part):
  """{name: shape} of what `part` adds to a new graph."""
  with tf.Graph().as_default():
    part()
    return {v.op.name: v.shape.as_list() for v in tf.global_variables()}


def _backbone(name, model_id):
  params = golden_numbers.make_params(
    {
      'architecture': {'backbone': name, 'multilevel_features': 'identity'},
      name: {'model_id': model_id},
    }
  )
  backbone = backbone_and_neck.backbone_generator(
    params, layer_kit.from_params(params)
  )
  return _built(lambda: backbone(tf.zeros([1, _SIZE, _SIZE, 3]), False))


def _golden(name, scope):
  return {
    variable: shape
    for variable, shape, _ in golden_numbers.expected(name + '.json')
    if variable.startswith(scope + '/')
  }


@pytest.mark.parametrize('model_id', ['49', '49S'])
def test_rule_gives_the_golden_spinenets(model_id):
  golden = _golden('retinanet_spinenet' + model_id, 'spinenet')
  assert variables_by_rule.spinenet(model_id, _SIZE) == golden


def test_rule_gives_the_golden_mbconv():
  golden = _golden('retinanet_spinenet_mbconv49', 'spinenet_mbconv')
  assert variables_by_rule.spinenet_mbconv('49') == golden


@pytest.mark.parametrize(
  'model_id',
  [
    pytest.param('96', marks=pytest.mark.slow),
    pytest.param('143', marks=pytest.mark.slow),
    pytest.param('143l', marks=pytest.mark.slow),
    pytest.param('190', marks=pytest.mark.slow),
  ],
)
def test_spinenet(model_id):
  expected = variables_by_rule.spinenet(model_id, _SIZE)
  assert _backbone('spinenet', model_id) == expected


@pytest.mark.slow
@pytest.mark.parametrize('model_id', ['49S', '49XS'])
def test_mbconv(model_id):
  expected = variables_by_rule.spinenet_mbconv(model_id)
  assert _backbone('spinenet_mbconv', model_id) == expected


def test_bottleneck_nasfpn():
  params = golden_numbers.make_params(
    {
      'architecture': {'multilevel_features': 'nasfpn'},
      'nasfpn': {
        'block_fn': 'bottleneck',
        'fpn_feat_dims': 8,
        'num_repeats': 2,
      },
    }
  )
  neck = backbone_and_neck.neck_generator(params, layer_kit.from_params(params))
  channels = {3: 16, 4: 24, 5: 12}
  features = {
    level: (1, _SIZE >> level, _SIZE >> level, count)
    for level, count in channels.items()
  }
  built = _built(
    lambda: neck({k: tf.zeros(shape) for k, shape in features.items()}, False)
  )
  assert built == variables_by_rule.bottleneck_nasfpn(channels, 8, 2)
