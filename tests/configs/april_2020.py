"""Files with the parameter names of April 2020, as users have them."""

SPINENET = """
type: 'retinanet'
architecture:
  backbone: 'spinenet'
  multilevel_features: 'identity'
train:
  total_steps: 185200
  train_batch_size: 256
  learning_rate:
    type: 'step'
    warmup_learning_rate: 0.0067
    warmup_steps: 2000
    init_learning_rate: 0.28
    learning_rate_levels: [0.028, 0.0028, 0.00028]
    learning_rate_steps: [166680, 175940, 180570]
  checkpoint:
    path: ''
    prefix: ''
  l2_weight_decay: 4e-5
  gradient_clip_norm: 10.0
spinenet:
  endpoints_num_filters: 256
  min_level: 3
  max_level: 7
  init_drop_connect_rate: 0.2
  activation: 'swish'
  filter_size_scale: 1.0
  block_repeats: {repeats}
  resample_alpha: {alpha}
  batch_norm:
    batch_norm_epsilon: 0.001
    batch_norm_momentum: 0.997
    batch_norm_trainable: true
    use_sync_bn: true
retinanet_head:
  min_level: 3
  max_level: 7
  retinanet_head_num_filters: 256
  use_separable_conv: false
  activation: 'swish'
  batch_norm:
    batch_norm_epsilon: 0.001
    batch_norm_momentum: 0.997
    batch_norm_trainable: true
    use_sync_bn: true
anchor:
  min_level: 3
  max_level: 7
  num_scales: 3
  aspect_ratios: [1.0, 2.0, 0.5]
  anchor_size: {anchor_size}
postprocess:
  min_level: 3
  max_level: 7
retinanet_parser:
  output_size: [{size}, {size}]
  aug_scale_min: 0.1
  aug_scale_max: 1.9
  use_autoaugment: false
"""

AUTOAUGMENT = """
train:
  total_steps: 277200
  learning_rate:
    init_learning_rate: 0.08
    learning_rate_levels: [0.008, 0.0008]
    learning_rate_steps: [220000, 258700]
resnet:
  resnet_depth: 50
retinanet_parser:
  aug_scale_min: 0.8
  aug_scale_max: 1.2
  use_autoaugment: true
"""

NASFPN = """
train:
  total_steps: 90000
  learning_rate:
    init_learning_rate: 0.08
    learning_rate_levels: [0.008, 0.0008]
    learning_rate_steps: [60000, 80000]
architecture:
  multilevel_features: 'nasfpn'
nasfpn:
  fpn_feat_dims: 256
  min_level: 3
  max_level: 7
  num_repeats: 5
  use_separable_conv: false
retinanet_parser:
  aug_scale_min: 0.8
  aug_scale_max: 1.2
"""


def spinenet(
  repeats: int, alpha: float, anchor_size: float = 3.0, size: int = 640
) -> str:
  """The file of a SpineNet of that time."""
  return SPINENET.format(
    repeats=repeats, alpha=alpha, anchor_size=anchor_size, size=size
  )
