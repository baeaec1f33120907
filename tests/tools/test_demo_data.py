"""The generated shapes and the boxes that go with them."""

import os

import numpy as np
from PIL import Image

from tools import demo_data


def test_an_image_depends_on_seed_and_number_alone():
  first = demo_data.make_image(3, 5)
  again = demo_data.make_image(3, 5)
  np.testing.assert_array_equal(first.pixels, again.pixels)
  assert first.boxes == again.boxes
  for other in (demo_data.make_image(3, 6), demo_data.make_image(4, 5)):
    assert np.any(first.pixels != other.pixels)


def test_boxes_are_inside_and_hardly_overlap():
  names = set()
  for number in range(40):
    image = demo_data.make_image(0, number)
    assert image.pixels.shape == (160, 160, 3)
    assert image.pixels.dtype == np.uint8
    assert 1 <= len(image.boxes) <= 6
    covered = np.zeros([160, 160], np.int32)
    for box in image.boxes:
      assert 0 <= box.xmin < box.xmax <= 160
      assert 0 <= box.ymin < box.ymax <= 160
      box_area = (box.xmax - box.xmin) * (box.ymax - box.ymin)
      assert 0.2 * box_area < box.area <= box_area
      rows = slice(int(box.ymin), int(box.ymax))
      columns = slice(int(box.xmin), int(box.xmax))
      assert (covered[rows, columns] > 0).mean() <= 0.3
      covered[rows, columns] += 1
      names.add(box.class_name)
  assert names == set(demo_data.LABEL_MAP.values())


def test_a_circle_fills_its_box_and_a_ring_has_a_hole():
  areas = {'circle': [], 'ring': []}
  for number in range(60):
    for box in demo_data.make_image(0, number).boxes:
      inside = min(box.xmin, box.ymin) > 0 and max(box.xmax, box.ymax) < 160
      if box.class_name in areas and inside:
        box_area = (box.xmax - box.xmin) * (box.ymax - box.ymin)
        areas[box.class_name].append(box.area / box_area)
  np.testing.assert_allclose(areas['circle'], np.pi / 4, atol=0.06)
  np.testing.assert_allclose(
    areas['ring'], np.pi / 4 * (1 - 0.55**2), atol=0.06
  )


def test_shapes_stand_out_from_what_is_behind_them():
  contrasts = []
  for number in range(20):
    image = demo_data.make_image(0, number)
    pixels = image.pixels.astype(np.float64)
    for box in image.boxes:
      if box.class_name in ('circle', 'square') and box.xmin > 2:
        row = int((box.ymin + box.ymax) / 2)
        inside = pixels[row, int((box.xmin + box.xmax) / 2)]
        outside = pixels[row, int(box.xmin) - 2]
        contrasts.append(np.linalg.norm(inside - outside))
  assert np.median(contrasts) > 70


def test_written_files_hold_the_images_of_their_numbers(tmp_path):
  annotated = demo_data.write_images(str(tmp_path / 'i'), 2, first=7, count=2)
  assert annotated.label_map == demo_data.LABEL_MAP
  assert [image.source_id for image in annotated.images] == [7, 8]
  for image in annotated.images:
    expected = demo_data.make_image(2, image.source_id)
    assert image.boxes == expected.boxes
    assert os.path.basename(image.path) == image.file_name
    np.testing.assert_array_equal(
      np.asarray(Image.open(image.path)), expected.pixels
    )
