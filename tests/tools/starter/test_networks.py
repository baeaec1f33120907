import pytest
import tensorflow.compat.v1 as tf

from tools.starter import networks
from utils import errors


def _checkpoint(tmp_path, *names):
  with tf.Graph().as_default(), tf.Session() as session:
    for name in names:
      tf.get_variable(name, [], initializer=tf.zeros_initializer())
    session.run(tf.global_variables_initializer())
    return tf.train.Saver().save(session, str(tmp_path / 'model.ckpt'), 7)


@pytest.mark.parametrize(
  'scope, preset, key, value',
  [
    ('resnet18', 'small_cpu', 'resnet.resnet_depth', 18),
    ('resnet101', 'retinanet_resnet50', 'resnet.resnet_depth', 101),
    (
      *('efficientnet-b3', 'retinanet_efficientnetb0'),
      *('architecture.backbone', 'efficientnet-b3'),
    ),
  ],
)
def test_the_backbone_of_a_checkpoint(tmp_path, scope, preset, key, value):
  path = _checkpoint(tmp_path, 'fpn/l3/kernel', f'{scope}/conv2d/kernel')
  (network,) = networks.candidates(path)
  assert network.preset.name == preset
  assert network.settings[key] == value
  assert network.checkpoint == {'path': path}


def test_a_resnet_without_a_scope(tmp_path):
  # Kernels of 9 layers and 4 projections, as published.
  names = ['conv2d/kernel', *(f'conv2d_{i}/kernel' for i in range(1, 13))]
  path = _checkpoint(tmp_path, *names, 'conv2d/kernel_1', 'dense/kernel')
  (network,) = networks.candidates(path)
  assert network.preset.name == 'small_cpu'
  assert network.settings['resnet.resnet_depth'] == 10
  assert network.checkpoint == {'path': path, 'prefix': 'resnet10/'}


def test_other_backbones_are_told(tmp_path):
  path = _checkpoint(tmp_path, 'spinenet49/conv2d/kernel')
  with pytest.raises(errors.UserError, match=r"but \['spinenet49"):
    networks.candidates(path)
  with pytest.raises(errors.UserError, match='does not exist'):
    networks.candidates(f'{tmp_path}/absent')


def test_what_data_and_time_decide_is_no_setting():
  networks_of_all = networks.candidates()
  assert [len(n.finest) for n in networks_of_all] == [2, 2, 1, 2, 1, 1]
  assert networks_of_all[0].batch == 8
  assert networks_of_all[0].settings == {
    'resnet.resnet_depth': 10,
    'fpn.fpn_feat_dims': 64,
    'retinanet_head.num_convs': 2,
    'retinanet_head.num_filters': 64,
    'batch_norm_activation.batch_norm_momentum': 0.97,
    'train.gradient_clip_norm': 10.0,
  }
