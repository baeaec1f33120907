"""Crops of boxes out of feature maps and masks, resized to one size."""

import math
from typing import Dict, NamedTuple, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from ops import portability

# Side of the box of which `_CANONICAL_LEVEL` takes care, pixels (Lin et al.,
# arXiv:1612.03144).
_CANONICAL_SIZE = 224.0
_CANONICAL_LEVEL = 4
# What boxes may exceed of a mask without being cut, cells of the mask.
_MASK_MARGIN = 2
_MIX = 'MixOfFeatures'


class _Samples(NamedTuple):
  """Points of one axis, each between two rows: [..., size].

  Attributes:
    low, high: int32, rows.
    low_weight, high_weight: float32; their sum is 1.
  """

  low: tf.Tensor
  high: tf.Tensor
  low_weight: tf.Tensor
  high_weight: tf.Tensor


def multilevel_crop_and_resize(
  features: Dict[int, tf.Tensor],
  boxes: tf.Tensor,
  output_size: int,
  has_sparse_ops: bool = True,
) -> tf.Tensor:
  """Crops each box from the level that suits its size (RoIAlign).

  A cell of the output is one bilinear sample, at its centre, where row i of the
  features lies at i. Beyond their last row and column features continue as
  these; before the first, linearly. There is no gradient to the boxes.

  Of a product with a sparse matrix, the bilinear weights, neither the forward
  nor the backward pass holds more than the result: the four neighbours of each
  sample are never in memory together.

  Args:
    features: {level: [batch, h, w, channels]}, all but batch static; level l
      has a stride of 2^l pixels.
    boxes: float32 [batch, n, 4], `[ymin, xmin, ymax, xmax]`, pixels of the
      model's image; n static.
    output_size: side of the output, cells.
    has_sparse_ops: false for a TPU, which gathers the neighbours instead.

  Returns:
    [batch, n, output_size, output_size, channels].
  """
  levels = sorted(features)
  shapes = [features[level].shape.as_list()[1:] for level in levels]
  boxes = tf.stop_gradient(boxes)
  level = _levels(boxes, levels[0], levels[-1]) - levels[0]
  stride = tf.cast(2 ** (level + levels[0]), tf.float32)
  ymin, xmin, ymax, xmax = tf.unstack(boxes / stride[..., tf.newaxis], 4, -1)
  # Those of the finest level, in cells of each box's.
  cell = tf.cast(2**level, tf.float32)
  height, width, channels = shapes[0]
  y = _samples(ymin, ymax - ymin, output_size, height / cell - 1.0)
  x = _samples(xmin, xmax - xmin, output_size, width / cell - 1.0)

  sizes = [rows * columns for rows, columns, _ in shapes]
  widths = tf.gather([columns for _, columns, _ in shapes], level)
  begin = tf.gather(np.cumsum([0] + sizes[:-1]).astype(np.int32), level)
  batch_size = boxes.shape.as_list()[0] or tf.shape(boxes)[0]
  begin += tf.range(batch_size)[:, tf.newaxis] * sum(sizes)
  index, weight = _neighbours(y, x, begin, widths)
  flat = tf.concat(
    [
      tf.reshape(features[level], [-1, size, channels])
      for level, size in zip(levels, sizes)
    ],
    axis=1,
  )
  has_sparse_ops = has_sparse_ops and not portability.is_required()
  mix = _mix_sparse if has_sparse_ops else _mix_gathered
  crops = mix(tf.reshape(flat, [-1, channels]), index, weight)
  # Of a known batch the heads have a known size, and cost.
  batch_size, num_boxes = boxes.shape.as_list()[:2]
  shape = [num_boxes, output_size, output_size, channels]
  return tf.reshape(crops, [batch_size or -1, *shape])


def crop_masks(
  masks: tf.Tensor,
  mask_boxes: tf.Tensor,
  boxes: tf.Tensor,
  output_size: int,
  sample_offset: float = 0.5,
) -> tf.Tensor:
  """Crops each box out of the mask of another box.

  Sampled as in `multilevel_crop_and_resize`; around the mask there is nothing.

  Args:
    masks: float32 [batch, n, m, m], n and m static.
    mask_boxes: float32 [batch, n, 4], what the masks cover, `[ymin, xmin, ymax,
      xmax]`.
    boxes: float32 [batch, n, 4], same frame.
    output_size: side of the output, cells.
    sample_offset: where in a cell it is sampled; 0.5 is its centre, 0 its
      begin.

  Returns:
    float32 [batch, n, output_size, output_size].
  """
  num_masks, size = masks.shape.as_list()[1:3]
  margin = [_MASK_MARGIN, _MASK_MARGIN]
  masks = tf.pad(masks, [[0, 0], [0, 0], margin, margin])
  side = size + 2 * _MASK_MARGIN
  scale = size / (mask_boxes[..., 2:] - mask_boxes[..., :2] + 1e-8)
  begins = (boxes[..., :2] - mask_boxes[..., :2]) * scale + _MASK_MARGIN
  lengths = (boxes[..., 2:] - boxes[..., :2]) * scale
  y, x = (
    _samples(
      begins[..., axis],
      lengths[..., axis],
      output_size,
      side - 1.0,
      sample_offset,
    )
    for axis in (0, 1)
  )
  batch_size = masks.shape.as_list()[0] or tf.shape(masks)[0]
  begin = tf.reshape(tf.range(batch_size * num_masks), [-1, num_masks])
  index, weight = _neighbours(
    y, x, begin * side**2, tf.fill(tf.shape(begin), side)
  )
  crops = _mix_gathered(tf.reshape(masks, [-1]), index, weight)
  return tf.reshape(crops, [-1, num_masks, output_size, output_size])


def _levels(boxes: tf.Tensor, min_level: int, max_level: int) -> tf.Tensor:
  """int32 [batch, n]; boxes without area are of the finest level."""
  ymin, xmin, ymax, xmax = tf.unstack(boxes, num=4, axis=-1)
  area = (ymax - ymin) * (xmax - xmin)
  has_area = area > 0.0
  area = tf.where(has_area, area, tf.ones_like(area))
  octave = tf.log(tf.sqrt(area) / _CANONICAL_SIZE) / math.log(2.0)
  level = tf.cast(tf.floor(octave), tf.int32) + _CANONICAL_LEVEL
  level = tf.where(has_area, level, tf.fill(tf.shape(level), min_level))
  return tf.clip_by_value(level, min_level, max_level)


def _samples(
  begin: tf.Tensor,
  length: tf.Tensor,
  size: int,
  last: tf.Tensor,
  offset: float = 0.5,
) -> _Samples:
  """Points in each of `size` parts of stretches.

  Args:
    begin: float32 [...], in rows.
    length: float32 [...].
    size: how many.
    last: float32, the last row, broadcasts to [...].
    offset: where in a part, as a share of it; 0.5 is its centre.
  """
  part = np.arange(size, dtype=np.float32) + np.float32(offset)
  position = begin[..., tf.newaxis] + part * length[..., tf.newaxis] / size
  last = tf.convert_to_tensor(last)[..., tf.newaxis] + tf.zeros_like(position)
  low = tf.minimum(tf.maximum(tf.floor(position), 0.0), last)
  high_weight = position - low
  return _Samples(
    low=tf.cast(low, tf.int32),
    high=tf.cast(tf.minimum(low + 1.0, last), tf.int32),
    low_weight=1.0 - high_weight,
    high_weight=high_weight,
  )


def _neighbours(
  y: _Samples, x: _Samples, begin: tf.Tensor, width: tf.Tensor
) -> Tuple[tf.Tensor, tf.Tensor]:
  """The four rows of flat features that each sample mixes.

  Args:
    y, x: [batch, n, size].
    begin: int32 [batch, n], row where the map of each box begins.
    width: int32 [batch, n], of that map.

  Returns:
    Indices int32 [samples, 4] and weights float32 [samples, 4].
  """
  index, weight = [], []
  for row, row_weight in ((y.low, y.low_weight), (y.high, y.high_weight)):
    first = begin[..., tf.newaxis] + row * width[..., tf.newaxis]
    for column, column_weight in (
      (x.low, x.low_weight),
      (x.high, x.high_weight),
    ):
      index.append(first[..., tf.newaxis] + column[:, :, tf.newaxis])
      weight.append(row_weight[..., tf.newaxis] * column_weight[:, :, None])
  return (
    tf.reshape(tf.stack(index, axis=-1), [-1, 4]),
    tf.reshape(tf.stack(weight, axis=-1), [-1, 4]),
  )


def _mix_sparse(
  features: tf.Tensor, index: tf.Tensor, weight: tf.Tensor
) -> tf.Tensor:
  """[rows, channels] to [samples, channels]."""
  num_samples = tf.shape(index)[0]
  sample = tf.tile(tf.range(num_samples)[:, tf.newaxis], [1, 4])
  entries = tf.stack(
    [tf.reshape(sample, [-1]), tf.reshape(index, [-1])], axis=1
  )
  matrix = tf.SparseTensor(
    tf.cast(entries, tf.int64),
    tf.cast(tf.reshape(weight, [-1]), features.dtype),
    tf.cast([num_samples, tf.shape(features)[0]], tf.int64),
  )
  with tf.get_default_graph().gradient_override_map(
    {'SparseTensorDenseMatMul': _MIX}
  ):
    return tf.sparse.sparse_dense_matmul(matrix, features)


@tf.RegisterGradient(_MIX)
def _mix_gradient(op: tf.Operation, gradient: tf.Tensor):
  """That of the features alone.

  An optimizer waits for all gradients of an operation, also for those that
  nothing takes, and TensorFlow's own of the weights gathers the neighbours.
  """
  matrix = tf.SparseTensor(*op.inputs[:3])
  features_gradient = tf.sparse.sparse_dense_matmul(
    matrix, gradient, adjoint_a=True
  )
  return None, None, None, features_gradient


def _mix_gathered(
  features: tf.Tensor, index: tf.Tensor, weight: tf.Tensor
) -> tf.Tensor:
  """[rows, channels] to [samples, channels], or [rows] to [samples]."""
  weight = tf.cast(weight, features.dtype)
  mixed = []
  for i in range(4):
    # Of one dimension: a TPU pads the last of several to 128.
    factor = weight[:, i]
    if features.shape.ndims > 1:
      factor = tf.expand_dims(factor, axis=1)
    mixed.append(tf.gather(features, index[:, i]) * factor)
  return tf.add_n(mixed)
