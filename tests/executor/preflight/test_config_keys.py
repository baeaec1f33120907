import pytest

from executor.preflight import config_keys


@pytest.mark.parametrize(
  'op_type, name, start',
  [
    ('Where', 'losses/Where', 'retinanet_loss'),
    ('AddN', 'gradients/losses/AddN', 'retinanet_loss'),
    ('Conv2D', 'gradients_1/fpn/l3/Conv2D', 'architecture.multilevel_features'),
    ('Conv2D', 'resnet50/Conv2D', 'architecture.backbone'),
    ('Conv2D', 'retinanet/class_net/Conv2D', 'retinanet_head'),
    ('ResourceApplyAdam', 'Adam/update', 'train.optimizer.type'),
    ('Where', 'gradients/AddN_3', 'no config key'),
    # With train.gradient_accumulation_steps.
    ('Where', 'accumulation/losses/Where', 'retinanet_loss'),
    ('Conv2D', 'accumulation/gradients/fpn/x', 'architecture.multilevel'),
    ('Conv2D', 'accumulation/spinenet/x', 'architecture.backbone'),
  ],
)
def test_key_behind_an_operation(op_type, name, start):
  assert config_keys.remedy(op_type, name).startswith(start)


def test_every_nms_version_is_offered():
  remedy = config_keys.remedy('Where', 'detections/Where')
  assert remedy.startswith('postprocess.nms_version: choose another of ')
  for version in ('v1', 'v2', 'batched'):
    assert version in remedy
