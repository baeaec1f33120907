"""ResNet as torchvision lays it out, in NumPy: random weights, and a pass.

Everything is [batch, channels, height, width]; kernels are [out, in, h, w].
"""

import numpy as np

_EPSILON = 1e-5
_STAGES = {
  18: (2, (2, 2, 2, 2)),
  50: (3, (3, 4, 6, 3)),
}


def state_dict(depth, seed=0):
  """Random weights under torchvision's names."""
  random = np.random.RandomState(seed)
  num_convolutions, repeats = _STAGES[depth]
  expansion = 4 if num_convolutions == 3 else 1
  tensors = {}

  def layer(convolution, batch_norm, channels, filters, side):
    # Some as small as the epsilons, as those of filters that hardly respond.
    variance = np.where(np.arange(filters) % 8, 1.0, 2e-5)
    variance *= random.uniform(0.5, 1.5, filters)
    deviation = np.sqrt(variance / (channels * side * side))
    kernel = random.normal(size=(filters, channels, side, side))
    tensors[convolution + '.weight'] = kernel * deviation[:, None, None, None]
    tensors[batch_norm + '.weight'] = random.uniform(0.4, 0.8, filters)
    tensors[batch_norm + '.bias'] = random.normal(size=filters) * 0.1
    mean = random.normal(size=filters) * 0.1 * np.sqrt(variance)
    tensors[batch_norm + '.running_mean'] = mean
    tensors[batch_norm + '.running_var'] = variance
    tensors[batch_norm + '.num_batches_tracked'] = np.int64(9)

  layer('conv1', 'bn1', 3, 64, 7)
  channels = 64
  for stage, num_blocks in enumerate(repeats, 1):
    width = 32 * 2**stage
    for block in range(num_blocks):
      name = f'layer{stage}.{block}.'
      if block == 0 and channels != width * expansion:
        layer(
          *(name + 'downsample.0', name + 'downsample.1'),
          *(channels, width * expansion, 1),
        )
      if num_convolutions == 2:
        layer(name + 'conv1', name + 'bn1', channels, width, 3)
        layer(name + 'conv2', name + 'bn2', width, width, 3)
      else:
        layer(name + 'conv1', name + 'bn1', channels, width, 1)
        layer(name + 'conv2', name + 'bn2', width, width, 3)
        layer(name + 'conv3', name + 'bn3', width, 4 * width, 1)
      channels = width * expansion
  tensors['fc.weight'] = random.normal(size=(10, channels))
  tensors['fc.bias'] = np.zeros(10)
  return {
    name: value if value.dtype == np.int64 else value.astype(np.float32)
    for name, value in tensors.items()
  }


def feature_maps(tensors, images):
  """Returns {level: map} of the four stages."""
  features = _layer(tensors, 'conv1', 'bn1', images, stride=2, padding=3)
  features = _max_pool(np.maximum(features, 0))
  maps = {}
  for stage in range(1, 5):
    block = 0
    while f'layer{stage}.{block}.conv1.weight' in tensors:
      stride = 2 if stage > 1 and block == 0 else 1
      features = _block(tensors, f'layer{stage}.{block}.', features, stride)
      block += 1
    maps[stage + 1] = features
  return maps


def _block(tensors, name, features, stride):
  shortcut = features
  if name + 'downsample.0.weight' in tensors:
    shortcut = _layer(
      tensors, name + 'downsample.0', name + 'downsample.1', features, stride, 0
    )
  if name + 'conv3.weight' in tensors:
    steps = [(1, 0), (stride, 1), (1, 0)]
  else:
    steps = [(stride, 1), (1, 1)]
  for number, (step, padding) in enumerate(steps, 1):
    features = _layer(
      tensors,
      f'{name}conv{number}',
      f'{name}bn{number}',
      features,
      step,
      padding,
    )
    if number < len(steps):
      features = np.maximum(features, 0)
  return np.maximum(features + shortcut, 0)


def _layer(tensors, convolution, batch_norm, features, stride, padding):
  kernel = tensors[convolution + '.weight']
  pads = [(0, 0), (0, 0), (padding, padding), (padding, padding)]
  windows = _windows(np.pad(features, pads), kernel.shape[2], stride)
  result = np.tensordot(windows, kernel, axes=([1, 4, 5], [1, 2, 3]))
  mean, variance, gamma, beta = (
    tensors[f'{batch_norm}.{leaf}']
    for leaf in ('running_mean', 'running_var', 'weight', 'bias')
  )
  result = (result - mean) / np.sqrt(variance + _EPSILON) * gamma + beta
  return result.transpose(0, 3, 1, 2)


def _max_pool(features):
  pads = [(0, 0), (0, 0), (1, 1), (1, 1)]
  padded = np.pad(features, pads, constant_values=-np.inf)
  return _windows(padded, 3, 2).max(axis=(4, 5))


def _windows(features, side, stride):
  """Returns [batch, channels, rows, columns, side, side]."""
  batch, channels, height, width = features.shape
  by_batch, by_channel, by_row, by_column = features.strides
  return np.lib.stride_tricks.as_strided(
    features,
    (
      *(batch, channels),
      *((height - side) // stride + 1, (width - side) // stride + 1),
      *(side, side),
    ),
    (
      *(by_batch, by_channel, by_row * stride, by_column * stride),
      *(by_row, by_column),
    ),
  )
