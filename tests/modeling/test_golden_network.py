"""Variables and outputs of whole networks equal the original's."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import factory
from tests import golden_numbers
from utils import mode_keys

_SEPARABLE = {
  'fpn': {'use_separable_conv': True},
  'retinanet_head': {'use_separable_conv': True},
  'architecture': {'num_classes': 5},
}


def _spinenet(name, **override):
  return {
    'architecture': {'backbone': name, 'multilevel_features': 'identity'},
    'anchor': {'anchor_size': 3.0},
    'batch_norm_activation': {'activation': 'swish'},
    **override,
  }


# name, overrides, image size, batch
CASES = [
  pytest.param(
    *('retinanet_r50_fpn', {}, (128, 128), 1), marks=pytest.mark.slow
  ),
  pytest.param(
    'retinanet_r50_fpn_rect_b2',
    {'architecture': {'num_classes': 7}},
    (128, 256),
    2,
    marks=pytest.mark.slow,
  ),
  (
    'retinanet_r18_fpn',
    {'resnet': {'resnet_depth': 18}, 'architecture': {'num_classes': 5}},
    (128, 128),
    1,
  ),
  pytest.param(
    *('retinanet_r50_fpn_separable', _SEPARABLE, (128, 128), 1),
    marks=pytest.mark.slow,
  ),
  pytest.param(
    'retinanet_r50_nasfpn',
    {'architecture': {'multilevel_features': 'nasfpn'}},
    (128, 128),
    1,
    marks=pytest.mark.slow,
  ),
  pytest.param(
    *('retinanet_spinenet49', _spinenet('spinenet'), (128, 128), 1),
    marks=pytest.mark.slow,
  ),
  pytest.param(
    'retinanet_spinenet49S',
    _spinenet(
      'spinenet',
      spinenet={'model_id': '49S'},
      retinanet_head={'num_filters': 128},
    ),
    (128, 128),
    1,
    marks=pytest.mark.slow,
  ),
  pytest.param(
    'retinanet_efficientnet_b1',
    {
      'architecture': {'num_classes': 4, 'backbone': 'efficientnet-b1'},
      'fpn': {'fpn_feat_dims': 64},
      'retinanet_head': {'num_filters': 64, 'num_convs': 1},
    },
    (128, 128),
    1,
    marks=pytest.mark.slow,
  ),
  pytest.param(
    'retinanet_spinenet_mbconv49',
    _spinenet(
      'spinenet_mbconv',
      retinanet_head={'num_filters': 48, 'use_separable_conv': True},
    ),
    (128, 128),
    1,
    marks=pytest.mark.slow,
  ),
]
CASES += [
  (
    'classification_r50',
    {'type': 'classification', 'architecture': {'num_classes': 11}},
    (96, 128),
    2,
  ),
  pytest.param(
    'classification_spinenet49S_all',
    {
      'type': 'classification',
      'architecture': {'num_classes': 7, 'backbone': 'spinenet'},
      'batch_norm_activation': {'activation': 'swish'},
      'spinenet': {'model_id': '49S'},
      'classification_head': {'aggregation': 'all'},
    },
    (128, 128),
    1,
    marks=pytest.mark.slow,
  ),
  (
    'segmentation_r18_aspp_fusion',
    {
      'type': 'segmentation',
      'architecture': {
        'num_classes': 5,
        'max_level': 6,
        'use_aspp': True,
        'use_pyramid_fusion': True,
      },
      'resnet': {'resnet_depth': 18},
      'segmentation_head': {'upsample_factor': 2, 'upsample_num_filters': 24},
    },
    (128, 192),
    1,
  ),
]
_OUTPUTS = ('cls_outputs', 'box_outputs', 'logits')
_SAMPLE = 20000


def _build(override, size, batch):
  images = tf.placeholder(tf.float32, [batch, *size, 3])
  image_info = tf.constant(
    [[size, size, [1, 1], [0, 0]]] * batch, dtype=tf.float32
  )
  params = golden_numbers.make_params(override)
  if 'postprocess' in params:
    # Of the heads; NMS has golden numbers of its own.
    params.override({'postprocess': {'apply_nms': False}})
  model = factory.model_generator(params)
  outputs = model.build_outputs(
    images, {'image_info': image_info}, mode_keys.PREDICT
  )
  return images, outputs


@pytest.mark.parametrize('name,override,size,batch', CASES)
def test_variables_and_outputs(name, override, size, batch):
  want = golden_numbers.expected(name + '.npz')
  with tf.Graph().as_default(), golden_numbers.make_session() as session:
    images, outputs = _build(override, size, batch)
    outputs = {key: outputs[key] for key in _OUTPUTS if key in outputs}
    trainable = {v.op.name for v in tf.trainable_variables()}
    variables = [
      [v.op.name, v.shape.as_list(), v.op.name in trainable]
      for v in tf.global_variables()
    ]
    assert sorted(variables) == sorted(golden_numbers.expected(name + '.json'))
    golden_numbers.load_weights(session)
    values = np.random.RandomState(7).standard_normal((batch, *size, 3))
    got = session.run(
      golden_numbers.flatten(outputs), {images: values.astype(np.float32)}
    )
  for key, value in got.items():
    if key in want:
      assert golden_numbers.relative_error(want[key], value) < 1e-4, key
      continue
    # Of large outputs a sample at fixed places was kept.
    places = np.random.RandomState(3).choice(value.size, _SAMPLE, replace=False)
    sample = value.reshape(-1)[np.sort(places)]
    error = golden_numbers.relative_error(want[key + '@sample'], sample)
    assert error < 1e-4, key
    assert list(want[key + '@shape']) == list(value.shape)
