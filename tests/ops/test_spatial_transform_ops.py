"""Crops of feature maps and masks: golden numbers, a NumPy model."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import spatial_transform_ops
from tests import golden_boxes, golden_numbers

_SIZE = (256, 256)
_ODD = [
  *([0, 0, 0, 0], [-1, -1, -1, -1], [0, 0, 256, 256]),
  *([247.0, 249.0, 286, 306], [-20, -12, 15, 40], [30, 40, 20, 10]),
  *([4, 4, 60, 60], [8, 8, 120, 120], [1, 1, 225, 225]),
]


def _inputs(num_levels=5, size=_SIZE, channels=6, num_boxes=24):
  rng = np.random.RandomState(0)
  features = {
    level: golden_boxes.normal(
      rng, 2, *(side // 2**level for side in size), channels
    )
    for level in range(2, 2 + num_levels)
  }
  boxes = np.stack(
    [golden_boxes.boxes_in(rng, num_boxes, *size, 2.0, 900.0) for _ in range(2)]
  )
  boxes[:, : len(_ODD)] = _ODD
  return features, boxes


def _level_of(box, levels):
  height, width = box[2] - box[0], box[3] - box[1]
  if height * width <= 0:
    return min(levels)
  octave = np.log2(np.float32(np.sqrt(height * width) / 224))
  return int(np.clip(np.floor(octave) + 4, min(levels), max(levels)))


def _sample(features, y, x):
  """Bilinear sample of [h, w, channels]; beyond the far border its values."""
  height, width = features.shape[:2]
  y0 = int(np.clip(np.floor(y), 0, height - 1))
  x0 = int(np.clip(np.floor(x), 0, width - 1))
  y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
  ly, lx = y - y0, x - x0
  return (1 - ly) * (
    (1 - lx) * features[y0, x0] + lx * features[y0, x1]
  ) + ly * ((1 - lx) * features[y1, x0] + lx * features[y1, x1])


def _crop(features, ymin, xmin, height, width, size):
  return np.stack(
    [
      [
        _sample(
          features,
          ymin + (i + 0.5) * height / size,
          xmin + (j + 0.5) * width / size,
        )
        for j in range(size)
      ]
      for i in range(size)
    ]
  )


def _run(features, boxes, size, **kwargs):
  """Crops, and the gradient of the sum of their squares."""
  with tf.Graph().as_default(), tf.Session() as session:
    tensors = {k: tf.constant(v) for k, v in features.items()}
    crops = spatial_transform_ops.multilevel_crop_and_resize(
      # The size of a batch may be unknown.
      tensors,
      tf.placeholder_with_default(boxes, [None, *boxes.shape[1:]]),
      size,
      **kwargs,
    )
    assert crops.shape.as_list()[1:] == [boxes.shape[1], size, size, 6]
    gradients = tf.gradients(tf.square(crops), list(tensors.values()))
    return session.run([crops, gradients])


def test_golden_crops():
  want = golden_numbers.expected('roi_crop.npz')
  features, boxes = _inputs()
  crops, _ = _run(features, boxes, 7)
  assert golden_numbers.relative_error(want['crops_7'], crops) < 1e-5
  crops, _ = _run(features, boxes, 14)
  places = np.random.RandomState(3).choice(crops.size, 20000, replace=False)
  sample = crops.reshape(-1)[np.sort(places)]
  assert golden_numbers.relative_error(want['crops_14@sample'], sample) < 1e-5


@pytest.mark.parametrize('has_sparse_ops', [True, False])
@pytest.mark.parametrize('num_levels, size', [(1, _SIZE), (3, (192, 320))])
def test_crops_equal_the_model(num_levels, size, has_sparse_ops):
  features, boxes = _inputs(num_levels, size)
  got, gradients = _run(features, boxes, 7, has_sparse_ops=has_sparse_ops)
  for image in range(2):
    for box, crop in zip(boxes[image], got[image]):
      level = _level_of(box, features)
      ymin, xmin, ymax, xmax = box.astype(np.float64) / 2**level
      want = _crop(
        features[level][image], ymin, xmin, ymax - ymin, xmax - xmin, 7
      )
      np.testing.assert_allclose(crop, want, rtol=1e-4, atol=2e-4)
  # By the other way of computing.
  _, others = _run(features, boxes, 7, has_sparse_ops=not has_sparse_ops)
  for gradient, other in zip(gradients, others):
    np.testing.assert_allclose(gradient, other, rtol=1e-4, atol=1e-4)


def test_boxes_of_exactly_an_octave_are_of_the_larger_level():
  features = {
    level: np.full([1, 64, 64, 6], level, np.float32) for level in range(2, 6)
  }
  for side, level in ((55.9, 2), (56, 2), (111.9, 2), (112, 3), (224, 4)):
    boxes = np.float32([[[3, 3, 3 + side, 3 + side]]])
    crops, _ = _run(features, boxes, 7)
    np.testing.assert_allclose(crops, level, rtol=1e-6)


def test_masks_are_cropped_as_the_model_does():
  rng = np.random.RandomState(1)
  mask_boxes = np.stack([golden_boxes.boxes_in(rng, 5, 128, 160)] * 2)
  boxes = mask_boxes + rng.uniform(-9, 9, mask_boxes.shape).astype(np.float32)
  boxes[:, 0], boxes[:, 1] = mask_boxes[:, 0], 3
  masks = np.stack([golden_boxes.soft_masks(rng, 5, 14) for _ in range(2)])
  with tf.Graph().as_default(), tf.Session() as session:
    got = session.run(
      spatial_transform_ops.crop_masks(
        tf.placeholder_with_default(masks, [None, 5, 14, 14]),
        tf.constant(mask_boxes),
        tf.constant(boxes),
        28,
      )
    )
  for image in range(2):
    for mask, outer, box, crop in zip(
      masks[image], mask_boxes[image], boxes[image], got[image]
    ):
      scale = 14 / (outer[2:] - outer[:2]).astype(np.float64)
      begin = (box[:2] - outer[:2]) * scale + 2
      want = _crop(
        np.pad(mask, 2, 'constant')[..., None],
        *begin,
        *((box[2:] - box[:2]) * scale),
        28,
      )
      np.testing.assert_allclose(crop, want[..., 0], atol=1e-4)
