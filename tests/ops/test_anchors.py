"""Anchor boxes against written-out values."""

import numpy as np
import pytest

from ops import anchors as anchors_lib


def test_numbers_of_a_rectangular_image():
  anchors = anchors_lib.Anchors(3, 7, 3, [1.0, 2.0, 0.5], 4.0, (128, 256))
  sizes = [len(boxes) for boxes in anchors.boxes_by_level.values()]
  assert sizes == [4608, 1152, 288, 72, 18]
  assert anchors.num_anchors == sum(sizes)
  assert anchors.anchors_per_location == 9
  assert anchors.grid_sizes[3] == (16, 32)


def test_order_is_y_x_octave_aspect_ratio():
  anchors = anchors_lib.Anchors(3, 3, 2, [1.0, 4.0], 4.0, (16, 16))
  boxes = anchors.boxes_by_level[3]
  assert boxes.dtype == np.float32
  half = 16 * 2**0.5
  np.testing.assert_allclose(
    boxes[:5],
    [
      [-12, -12, 20, 20],
      [-4, -28, 12, 36],
      [4 - half, 4 - half, 4 + half, 4 + half],
      [4 - half / 2, 4 - half * 2, 4 + half / 2, 4 + half * 2],
      [-12, -4, 20, 28],
    ],
    rtol=1e-6,
  )
  np.testing.assert_array_equal(boxes[8], [-4, -12, 28, 20])


def test_types_describe_the_boxes():
  anchors = anchors_lib.Anchors(3, 4, 2, [1.0, 2.0], 3.0, (32, 48))
  boxes = np.concatenate(list(anchors.boxes_by_level.values()))
  for kind in anchors.types:
    index = kind.first_index + (kind.grid_width + 2) * kind.index_step
    y, x = (np.float32([1.5, 2.5]) * 2**kind.level).tolist()
    np.testing.assert_array_equal(
      boxes[index],
      np.float32(
        [
          y - kind.half_height,
          x - kind.half_width,
          y + kind.half_height,
          x + kind.half_width,
        ]
      ),
    )


def test_size_has_to_be_divisible():
  with pytest.raises(ValueError, match='100 x 128.*multiple of 128'):
    anchors_lib.Anchors(3, 7, 3, [1.0], 4.0, (100, 128))
