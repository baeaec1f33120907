"""Which image gets which id."""

import json

import pytest
from PIL import Image

from dataloader import image_reader
from serving.inference import image_ids, sources
from utils import errors


def _annotations(path, *names, size=(9, 9)):
  content = {
    'images': [
      {'id': 10 + i, 'file_name': name, 'width': size[0], 'height': size[1]}
      for i, name in enumerate(names)
    ],
    'annotations': [],
    'categories': [{'id': 1, 'name': 'cat'}],
  }
  path.write_text(json.dumps(content))
  return str(path)


def _items(*names_and_ids):
  return [sources.Item(name, None, i) for name, i in names_and_ids]


def _given(ids, *names_and_ids):
  return [item.image_id for item in ids.given_to(_items(*names_and_ids))]


def test_numbers_leave_out_ids_of_records():
  ids = image_ids.ImageIds()
  assert _given(ids, ('r', 2), ('a', None), ('b', None)) == [2, 1, 3]
  assert ids.numbered == {1: 'a', 3: 'b'}


def test_ids_of_file_names(tmp_path):
  path = _annotations(tmp_path / 'i.json', 'b.jpg', 'val/a.jpg')
  ids = image_ids.ImageIds(path)
  given = _given(
    ids, ('/data/val/a.jpg', None), ('r', 77), ('b.jpg', None), ('c.jpg', None)
  )
  assert given == [11, 77, 10]
  assert ids.num_left_out == 1
  assert ids.numbered == {}
  assert _given(image_ids.ImageIds(path), ('a.jpg', None)) == [11]


def test_windows_paths(tmp_path):
  path = _annotations(tmp_path / 'i.json', 'C:\\x\\1.jpg', 'C:\\y\\2.jpg')
  assert _given(image_ids.ImageIds(path), ('in/2.jpg', None)) == [11]


def test_the_frame_is_that_of_the_annotation_file(tmp_path):
  image = Image.new('RGB', (9, 5))
  exif = Image.Exif()
  exif[0x0112] = 6
  image.save(str(tmp_path / 'a.jpg'), exif=exif.tobytes())
  decoder = image_reader.Decoder(100)
  for width, height in ((5, 9), (9, 5), (18, 10)):
    path = _annotations(tmp_path / 'i.json', 'a.jpg', size=(width, height))
    items = sources.items([str(tmp_path / 'a.jpg')], decoder)
    (item,) = image_ids.ImageIds(path).given_to(items)
    if width == 18:
      with pytest.raises(errors.DataError, match='18 x 10 .* has 5 x 9'):
        item.read()
    else:
      assert item.read().pixels.shape == (height, width, 3)


def test_names_that_stand_for_several_images(tmp_path):
  path = _annotations(tmp_path / 'i.json', 'p/a.jpg', 'q/a.jpg')
  ids = image_ids.ImageIds(path)
  clear, unclear = ids.given_to(_items(('x/q/a.jpg', None), ('a.jpg', None)))
  assert clear.image_id == 11
  with pytest.raises(errors.DataError, match="several images 'a.jpg'"):
    unclear.read()


def test_an_id_that_was_there_before():
  first, again = image_ids.ImageIds().given_to(_items(('a', 5), ('b', 5)))
  assert first.image_id == 5
  with pytest.raises(errors.DataError, match='image id 5, as an earlier'):
    again.read()
