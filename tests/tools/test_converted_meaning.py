"""What boxes of a conversion mean: their frame, units, paths and dialects."""

import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from dataloader import image_reader
from tests.tools import annotated_images
from tools.record_sources import coco, voc
from tools.record_sources import report as report_lib
from utils import errors

# Where the object is, and what a photo of it is like.
_BOX = (20, 10, 60, 40)
_SIZE = (80, 60)


def _photo(orientation=1):
  """The picture as a camera stores it that writes this orientation."""
  pixels = np.zeros([_SIZE[1], _SIZE[0], 3], np.uint8)
  pixels[_BOX[1] : _BOX[3], _BOX[0] : _BOX[2]] = 255
  image = Image.fromarray(pixels)
  undo = {
    2: Image.FLIP_LEFT_RIGHT,
    3: Image.ROTATE_180,
    4: Image.FLIP_TOP_BOTTOM,
    5: Image.TRANSPOSE,
    6: Image.ROTATE_90,
    7: Image.TRANSVERSE,
    8: Image.ROTATE_270,
  }
  return image.transpose(undo[orientation]) if orientation > 1 else image


def _corners(image):
  ys, xs = np.nonzero(np.asarray(image)[..., 0] > 127)
  return xs.min(), ys.min(), xs.max() + 1, ys.max() + 1


def _content(boxes, size=_SIZE, file_name='a.jpg', **values):
  width, height = size
  return {
    'images': [
      {'id': 1, 'file_name': file_name, 'width': width, 'height': height}
    ],
    'categories': [{'id': 1, 'name': 'cat'}],
    'annotations': [
      dict(
        {'image_id': 1, 'category_id': 1},
        bbox=[int(x0), int(y0), int(x1 - x0), int(y1 - y0)],
        **values,
      )
      for x0, y0, x1, y1 in boxes
    ],
  }


def _convert(folder, content):
  (folder / 'in.json').write_text(json.dumps(content))
  report = report_lib.Report()
  annotated = coco.read_coco(str(folder / 'in.json'), str(folder), report)
  written = annotated_images.convert(
    annotated, report, folder, 'x', overwrite=True
  )
  return written, report


@pytest.mark.parametrize('orientation', range(1, 9))
def test_boxes_and_pixels_of_turned_photos_agree(tmp_path, orientation):
  stored = _photo(orientation)
  exif = Image.Exif()
  exif[image_reader.ORIENTATION_TAG] = orientation
  stored.save(str(tmp_path / 'a.jpg'), exif=exif.tobytes(), quality=95)
  frames = [(_BOX, _SIZE)]
  if orientation >= 5:
    frames.append((_corners(stored), stored.size))
  for box, size in frames:
    written, report = _convert(tmp_path, _content([box], size))
    assert report.count('turned_upright') == (orientation > 1)
    assert report.num_problems == 0
    (annotation,) = written.coco['annotations']
    assert annotation['bbox'] == [20, 10, 40, 30]
    (record,) = tf.io.tf_record_iterator(written.shard_files[0])
    feature = tf.train.Example.FromString(record).features.feature
    with tf.Session() as session:
      encoded = feature['image/encoded'].bytes_list.value[0]
      pixels = session.run(tf.image.decode_image(encoded, channels=3))
    assert _corners(pixels) == _BOX
    read = image_reader.Decoder(10**4).open((tmp_path / 'a.jpg').read_bytes())
    np.testing.assert_array_equal(pixels, read.decode().pixels)


def test_boxes_are_scaled_with_their_image(tmp_path):
  _photo().save(str(tmp_path / 'a.jpg'))
  content = _content([(41, 20, 121, 80)], (161, 119), area=800)
  written, report = _convert(tmp_path, content)
  (annotation,) = written.coco['annotations']
  np.testing.assert_allclose(annotation['bbox'], [20.4, 10.1, 39.8, 30.3], 0.01)
  np.testing.assert_allclose(annotation['area'], 200, rtol=0.01)
  assert report.count('size_differs') == 1

  content['images'].append(dict(content['images'][0], id=2, width=120))
  content['annotations'].append(dict(content['annotations'][0], image_id=2))
  written, report = _convert(tmp_path, content)
  assert [image['id'] for image in written.coco['images']] == [1]
  assert report.count('size_contradicts') == 1


@pytest.mark.parametrize(
  'boxes, reason',
  [
    ([], 'There is no box in 1 images'),
    ([(0, 0, 1, 1)] * 2, 'Box in shares of 1, not in pixels: 2'),
    ([(3, 3, 4, 4)] * 2 + [_BOX], r'smaller than 2 pixels \(the median .* 1\)'),
    # Sides that are corners: (30, 30), (70, 50), (79, 59).
    (
      [(9, 9, 39, 39), (20, 20, 90, 70), (40, 30, 119, 89)],
      r'2 of 3 boxes leave .*\[xmin, ymin, width, height\]',
    ),
  ],
)
def test_boxes_that_cannot_be_meant_are_refused(tmp_path, boxes, reason):
  _photo().save(str(tmp_path / 'a.jpg'))
  with pytest.raises(errors.DataError, match=reason):
    _convert(tmp_path, _content(boxes))
  assert not (tmp_path / 'out').exists()


def test_a_format_that_nobody_reads_is_named(tmp_path):
  content = _content([_BOX])
  _photo().save(str(tmp_path / 'a.jpg'))
  for number in (2, 3):
    name = f'{number}.heic'
    (tmp_path / name).write_bytes(b'....ftypheic')
    content['images'].append({'id': number, 'file_name': name})
  with pytest.raises(errors.DataError, match="'.heic': none of the 2 files"):
    _convert(tmp_path, content)


@pytest.mark.parametrize(
  'file_name', ['C:\\x\\a.jpg', 'train2017/a.jpg', '/data/deep/sub/a.jpg']
)
def test_images_are_found_by_the_last_parts_of_their_paths(tmp_path, file_name):
  folder = tmp_path / 'sub' if 'sub' in file_name else tmp_path
  folder.mkdir(exist_ok=True)
  _photo().save(str(folder / 'a.jpg'))
  content = _content([_BOX], file_name=file_name)
  assert len(_convert(tmp_path, content)[0].coco['images']) == 1
  # One file does not stand for two images.
  content['images'].append({'id': 2, 'file_name': 'other\\a.jpg'})
  if folder == tmp_path:
    with pytest.raises(errors.DataError, match='does not exist: 2, such as'):
      _convert(tmp_path, content)


def test_ids_may_be_text_on_one_side(tmp_path):
  _photo().save(str(tmp_path / 'a.jpg'))
  content = _content([_BOX])
  content['annotations'][0].update(image_id='1', category_id=1.0, iscrowd=None)
  content['categories'][0].update(id='1', name=' cat\n')
  written, report = _convert(tmp_path, content)
  assert len(written.coco['annotations']) == 1
  assert report.as_dict() == {}
  assert (tmp_path / 'out' / 'label_map.txt').read_text() == '1:cat\n'


_OBJECT = (
  '<object><name>cat</name><bndbox><xmin>2</xmin><ymin>1</ymin>'
  '<xmax>60</xmax><ymax>40</ymax></bndbox></object>'
)


@pytest.mark.parametrize(
  'xml, reason',
  [
    ('<annotation xmlns="http://x.org/voc">' + _OBJECT + '</annotation>', None),
    ('<annotations><image/></annotations>', 'its root is <annotations>'),
    ('<annotation><set>' + _OBJECT + '</set></annotation>', 'but no <object>'),
    ('<!DOCTYPE a [<!ENTITY a "b">]><annotation/>', 'declares entities'),
    ('<?xml version="1.0" encoding="none"?><annotation/>', 'encoding'),
    ('', 'no element found'),
  ],
)
def test_another_dialect_is_no_background(tmp_path, xml, reason):
  (tmp_path / '1.xml').write_text('<annotation>' + _OBJECT + '</annotation>')
  (tmp_path / '2.xml').write_text(xml)
  report = report_lib.Report()
  annotated = voc.read_voc(str(tmp_path), str(tmp_path), report)
  boxes = [len(image.boxes) for image in annotated.images]
  assert boxes == ([1] if reason else [1, 1])
  found = report.as_dict().get('unreadable_annotation', {'findings': []})
  details = [finding['detail'] for finding in found['findings']]
  assert len(details) == bool(reason) and all(reason in d for d in details)
