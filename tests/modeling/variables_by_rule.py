"""Names and shapes of variables, worked out from tables instead of a graph.

Du et al., arXiv:1912.05027 (SpineNet), Ghiasi et al., arXiv:1904.07392
(NAS-FPN); the naming rules are those of `tf.layers`.
"""

import collections
import math

_BOTTLENECK, _RESIDUAL = 'bottleneck', 'residual'

# Level, kind, parents, whether it is an output.
_SPINENET_BLOCKS = [
  (2, _BOTTLENECK, (0, 1), False),
  (4, _RESIDUAL, (0, 1), False),
  (3, _BOTTLENECK, (2, 3), False),
  (4, _BOTTLENECK, (2, 4), False),
  (6, _RESIDUAL, (3, 5), False),
  (4, _BOTTLENECK, (3, 5), False),
  (5, _RESIDUAL, (6, 7), False),
  (7, _RESIDUAL, (6, 8), False),
  (5, _BOTTLENECK, (8, 9), False),
  (5, _BOTTLENECK, (8, 10), False),
  (4, _BOTTLENECK, (5, 10), True),
  (3, _BOTTLENECK, (4, 10), True),
  (5, _BOTTLENECK, (7, 12), True),
  (7, _BOTTLENECK, (5, 14), True),
  (6, _BOTTLENECK, (12, 14), True),
]
# Endpoint width, scale, alpha, repeats.
_SPINENETS = {
  '49S': (128, 0.65, 0.5, 1),
  '49': (256, 1.0, 0.5, 1),
  '96': (256, 1.0, 0.5, 2),
  '143': (256, 1.0, 1.0, 3),
  '143l': (256, 1.3, 1.0, 3),
  '190': (512, 1.3, 1.0, 4),
}
_MBCONV_BLOCKS = [
  (2, (0, 1), False),
  (2, (1, 2), False),
  (4, (1, 2), False),
  (3, (3, 4), False),
  (4, (3, 5), False),
  (6, (4, 6), False),
  (4, (4, 6), False),
  (5, (7, 8), False),
  (7, (7, 9), False),
  (5, (9, 10), False),
  (5, (9, 11), False),
  (4, (6, 11), True),
  (3, (5, 11), True),
  (5, (8, 13), True),
  (7, (6, 15), True),
  (6, (13, 15), True),
]
# Endpoint width, widths of levels 0 to 7.
_MBCONVS = {
  '49': (48, (8, 16, 24, 40, 80, 112, 112, 112)),
  '49S': (40, (5, 10, 15, 26, 52, 72, 72, 72)),
  '49XS': (24, (4, 9, 14, 24, 48, 67, 67, 67)),
}
_EXPANSION = 6


class _Scope:
  """Adds variables under a scope, numbering layers by kind."""

  def __init__(self, variables, path):
    self._variables = variables
    self._path = path
    self._counts = collections.Counter()

  def inner(self, name):
    return _Scope(self._variables, f'{self._path}/{name}')

  def _add(self, kind, **shapes):
    count = self._counts[kind]
    self._counts[kind] += 1
    layer = f'{kind}_{count}' if count else kind
    for leaf, shape in shapes.items():
      self._variables['/'.join((self._path, layer, leaf))] = list(shape)

  def conv(self, size, inputs, outputs, has_bias=False):
    bias = {'bias': [outputs]} if has_bias else {}
    self._add('conv2d', kernel=[size, size, inputs, outputs], **bias)

  def depthwise(self, size, channels):
    self._add('depthwise_conv2d', depthwise_kernel=[size, size, channels, 1])

  def norm(self, channels, name=None):
    if name:
      self._counts[name] = 0
    leaves = ('gamma', 'beta', 'moving_mean', 'moving_variance')
    self._add(
      name or 'batch_normalization', **{leaf: [channels] for leaf in leaves}
    )

  def conv_norm(self, size, inputs, outputs):
    self.conv(size, inputs, outputs)
    self.norm(outputs)

  def bottleneck(self, inputs, filters, projects=False):
    if projects:
      self.conv_norm(1, inputs, 4 * filters)
    self.conv_norm(1, inputs, filters)
    self.conv_norm(3, filters, filters)
    self.conv_norm(1, filters, 4 * filters)

  def residual(self, inputs, filters):
    self.conv_norm(3, inputs, filters)
    self.conv_norm(3, filters, filters)

  def mbconv(self, inputs, outputs, se_ratio=0.2):
    inner = _EXPANSION * inputs
    squeezed = max(1, int(se_ratio * inputs))
    self.conv_norm(1, inputs, inner)
    self.depthwise(3, inner)
    self.norm(inner)
    self.conv(1, inner, squeezed, has_bias=True)
    self.conv(1, squeezed, inner, has_bias=True)
    self.conv_norm(1, inner, outputs)


def spinenet(model_id, width):
  """{name: shape} of a SpineNet for images of a width in pixels."""
  endpoint, scale, alpha, repeats = _SPINENETS[model_id]
  base = {2: 64, 3: 128, 4: 256, 5: 256, 6: 256, 7: 256}
  filters = {level: int(count * scale) for level, count in base.items()}
  variables = {}
  stem = _Scope(variables, 'spinenet')
  stem.conv_norm(7, 3, 64)
  outputs = 4 * filters[2]
  for group in range(2):
    for repeat in range(repeats):
      is_first = not group and not repeat
      stem.bottleneck(64 if is_first else outputs, filters[2], is_first)
  features = [(2, _BOTTLENECK, outputs)] * 2
  for index, (level, kind, parents, _) in enumerate(_SPINENET_BLOCKS):
    scope = stem.inner(f'sub_policy{index}')
    outputs = filters[level] * (4 if kind == _BOTTLENECK else 1)
    for position, parent in enumerate(parents):
      from_level, from_kind, channels = features[parent]
      reduced = channels / 4 if from_kind == _BOTTLENECK else channels
      reduced = int(reduced * alpha)
      resample = scope.inner(f'resample_with_alpha_resample_{index}_{position}')
      resample.conv_norm(1, channels, reduced)
      if math.ceil(width / 2**from_level) > math.ceil(width / 2**level):
        resample.conv_norm(3, reduced, reduced)
      resample.conv_norm(1, reduced, outputs)
    block = scope.inner(f'scale_permuted_block_{2 + index}')
    for _ in range(repeats):
      getattr(block, kind)(outputs, filters[level])
    features.append((level, kind, outputs))
  is_output = [spec[3] for spec in _SPINENET_BLOCKS]
  for _, _, channels in sorted(
    f for f, wanted in zip(features[2:], is_output) if wanted
  ):
    stem.conv_norm(1, channels, endpoint)
  return variables


def spinenet_mbconv(model_id):
  """{name: shape} of a SpineNet-MBConv, for sides that are multiples of 128."""
  endpoint, filters = _MBCONVS[model_id]
  variables = {}
  stem = _Scope(variables, 'spinenet_mbconv')
  stem.conv_norm(3, 3, filters[0])
  stem.mbconv(filters[0], filters[1])
  stem.mbconv(filters[1], filters[2])
  levels = [1, 2]
  for index, (level, parents, _) in enumerate(_MBCONV_BLOCKS):
    scope = stem.inner(f'sub_policy{index}')
    for position, parent in enumerate(parents):
      channels = filters[levels[parent]]
      resample = scope.inner(
        f'resample_with_sepconv_resample_{index}_{position}'
      )
      for _ in range(level - levels[parent]):
        resample.depthwise(3, channels)
        resample.norm(channels)
      resample.conv_norm(1, channels, filters[level])
    block = scope.inner(f'scale_permuted_block_{2 + index}')
    block.mbconv(filters[level], filters[level])
    levels.append(level)
  for level in sorted(spec[0] for spec in _MBCONV_BLOCKS if spec[2]):
    stem.conv_norm(1, filters[level], endpoint)
  return variables


def bottleneck_nasfpn(channels, filters, num_repeats):
  """{name: shape} of a NAS-FPN of bottlenecks on levels 3 to 5.

  Args:
    channels: {level: channels} of the backbone, levels 3 to 5, none of them
      equal to `filters`.
    filters: the neck's `fpn_feat_dims`.
    num_repeats: number of cells.
  """
  # Inputs, and the outputs that are added because no node has used them.
  nodes = [
    ((1, 3), ()),
    ((1, 5), ()),
    ((0, 6), ()),
    ((6, 7), ()),
    ((7, 8), (2,)),
    ((6, 9), (4,)),
    ((9, 10), ()),
  ]
  variables = {}

  def resample(path, inputs):
    if inputs != filters:
      scope = _Scope(variables, path)
      scope.conv(1, inputs, filters, has_bias=True)
      scope.norm(filters, name='bn')

  for level, count in channels.items():
    resample(f'resample_l{level}', count)
  for repeat in range(num_repeats):
    # Levels 6 and 7 of the first cell are pooled from level 5.
    widths = [4 * filters if repeat else filters] * 5
    for index, (inputs, unused) in enumerate(nodes):
      path = f'fpn_cells/cell_{repeat}/sub_policy{index}'
      tags = [
        f'{position}_{source}_{5 + index}'
        for position, source in enumerate(inputs)
      ] + [f'fa_{index}_{source}' for source in unused]
      for tag, source in zip(tags, inputs + unused):
        resample(f'{path}/resample_{tag}', widths[source])
      block = _Scope(variables, f'{path}/op_after_combine{5 + index}')
      block.bottleneck(filters, filters, projects=True)
      widths.append(4 * filters)
  return variables
