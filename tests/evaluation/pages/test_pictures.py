"""Where the pictures of a page come from, and how many fit."""

import numpy as np
import pytest
from PIL import Image

from evaluation.pages import image_lookup, page
from tests import record_factory
from utils import errors


def test_images_of_records(tmp_path):
  records = record_factory.write_records(
    tmp_path / 'set.tfrecord', map(record_factory.with_mask, range(4))
  )
  truth = {'images': [{'id': i, 'height': 40, 'width': 60} for i in range(4)]}
  found = image_lookup.lookup(records, truth, [2, 9])
  np.testing.assert_array_equal(found(2), record_factory.pixels(seed=2))
  assert found(1) is None and found(9) is None
  image_lookup.check(records, truth, [9, 3])
  with pytest.raises(errors.DataError, match='of 2 images, such as 8. Give'):
    image_lookup.check(records, truth, [8, 9])
  with pytest.raises(
    errors.DataError, match='holds none of 1 images, such as 3'
  ):
    image_lookup.lookup(str(tmp_path), truth, [3])


def test_full_page_leaves_images_out(monkeypatch):
  pictures = page.Pictures()
  images = [Image.fromarray(record_factory.pixels(seed=i)) for i in range(3)]
  assert pictures.add('a', images[0]) == 0
  size = len(pictures.encoded[0]['data'])
  monkeypatch.setattr(page, 'MAX_BYTES', int(2.5 * size))
  assert pictures.add('b', images[1]) == 1
  assert pictures.add('a', images[0]) == 0
  assert pictures.add('c', images[2]) is None
  assert pictures.num_left_out == 1
  # What is drawn counts, too.
  assert pictures.takes(int(0.4 * size) * 'x') and not pictures.takes(
    size * 'x'
  )
  assert pictures.num_left_out == 2
