"""Records from folders of images and of label PNGs."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from tests import programs, record_factory, segmentation_set

_MAP = 'image/segmentation/class/encoded'


def _png(labels, mode='L', num_colors=256):
  image = Image.fromarray(labels)
  if mode == 'P':
    image.putpalette([i % 256 for i in range(3 * num_colors)])
  buffer = io.BytesIO()
  image.save(buffer, 'PNG')
  return buffer.getvalue()


def _grey_of_2_bits(labels):
  """A PNG whose bytes hold four pixels each."""
  height, width = labels.shape
  bits = np.unpackbits(labels[..., np.newaxis], axis=2)[:, :, 6:]
  rows = np.packbits(bits.reshape(height, 2 * width), axis=1)

  def chunk(kind, content):
    checksum = struct.pack('>I', zlib.crc32(kind + content))
    return struct.pack('>I', len(content)) + kind + content + checksum

  return (
    b'\x89PNG\r\n\x1a\n'
    + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 2, 0, 0, 0, 0))
    + chunk(b'IDAT', zlib.compress(b''.join(b'\0' + r.tobytes() for r in rows)))
    + chunk(b'IEND', b'')
  )


def _labels():
  labels = segmentation_set.label_map()
  return np.where(labels == 255, 0, labels)


@pytest.fixture
def folders(tmp_path):
  """A folder with images/, labels/ and classes.txt."""
  for folder in ('images/more', 'labels/more'):
    (tmp_path / folder).mkdir(parents=True)
  for name in ('a', 'b', 'more/c', 'd'):
    path = tmp_path / 'images' / (name + '.jpg')
    path.write_bytes(record_factory.encode(record_factory.pixels(), 'JPEG'))
  plain = _labels()
  for name, png in {
    'a': _png(segmentation_set.label_map()),
    'b': _png(segmentation_set.label_map(), 'P'),
    'more/c': _grey_of_2_bits(plain),
    'e': _png(plain),
  }.items():
    (tmp_path / 'labels' / (name + '.png')).write_bytes(png)
  (tmp_path / 'classes.txt').write_text('1:leaf\n2:stem\n')
  return tmp_path


def _convert(folders, *arguments):
  return programs.run(
    'tools/create_tf_record.py',
    f'--segmentation_dir={folders}/labels',
    f'--image_dir={folders}/images',
    f'--label_map={folders}/classes.txt',
    f'--output_dir={folders}/records',
    '--name=train',
    '--num_shards=1',
    *arguments,
  )


def _records(folders):
  path = str(folders / 'records' / 'train-00000-of-00001.tfrecord')
  for record in tf.io.tf_record_iterator(path):
    yield tf.train.Example.FromString(record).features.feature


def _stored(feature):
  png = Image.open(io.BytesIO(feature[_MAP].bytes_list.value[0]))
  assert png.mode == 'L'
  return np.asarray(png)


def test_palettes_and_grey_of_any_depth_become_grey(folders):
  process = _convert(folders)
  assert process.returncode == 0, process.stderr
  wanted = [segmentation_set.label_map()] * 2 + [_labels()]
  features = list(_records(folders))
  names = [f['image/filename'].bytes_list.value[0] for f in features]
  assert names == [b'a.jpg', b'b.jpg', b'more/c.jpg']
  for feature, labels in zip(features, wanted):
    np.testing.assert_array_equal(_stored(feature), labels)
  report = json.loads((folders / 'records/train_report.json').read_text())
  assert report['images_by_class'] == {'leaf': 3, 'stem': 3}
  assert report['findings']['label_without_image']['count'] == 1
  assert report['findings']['image_without_masks']['count'] == 1
  assert 'num_classes is 3' in process.stdout
  assert '--num_classes=3' in process.stdout


def test_what_is_ignored_becomes_255(folders):
  process = _convert(folders, '--ignore_label=0')
  assert process.returncode == 1 and 'label 255 is no class' in process.stderr
  for name in ('a', 'b'):
    (folders / 'labels' / f'{name}.png').write_bytes(_png(_labels()))
  process = _convert(folders, '--ignore_label=0')
  assert process.returncode == 0, process.stderr
  for feature in _records(folders):
    stored = _stored(feature)
    np.testing.assert_array_equal(stored == 255, _labels() == 0)
    assert set(np.unique(stored)) == {1, 2, 255}


@pytest.mark.parametrize(
  'png, reason',
  [
    (
      _png(np.full([40, 60], 3, np.uint8)),
      "b.png: label 3 is no class of --label_map, {1: 'leaf', 2: 'stem'}, nor",
    ),
    (
      _png(np.ones([41, 60], np.uint8)),
      'b.png: the label map is 60 x 41 pixels, its image 60 x 40',
    ),
    (
      _png(np.full([40, 60], 7, np.uint8), 'P', 5),
      'b.png: the label map has index 7 in a palette of 5 colours',
    ),
    (
      _png(np.ones([40, 60, 3], np.uint8)),
      'b.png: the label map is a PNG of mode RGB; save label maps as PNG, grey',
    ),
    (
      _png(np.full([40, 60], 300, np.uint16)),
      'b.png: the label map has label 300; labels are 0 to 255',
    ),
    (_png(_labels(), 'P')[:200], 'b.png: the label map cannot be read: '),
    (_png(_labels())[:60], 'b.png: the label map cannot be read: '),
  ],
)
def test_a_label_map_that_cannot_be_meant_is_an_error(folders, png, reason):
  (folders / 'labels' / 'b.png').write_bytes(png)
  process = _convert(folders)
  assert process.returncode == 1
  assert reason in process.stderr, process.stderr
  assert not (folders / 'records').exists()


def test_a_split_has_every_class_in_each_part(folders):
  for i in range(10):
    name = f'x{i}'
    image = record_factory.encode(record_factory.pixels(), 'JPEG')
    (folders / 'images' / f'{name}.jpg').write_bytes(image)
    labels = np.full([40, 60], 2 if i < 2 else 0, np.uint8)
    (folders / 'labels' / f'{name}.png').write_bytes(_png(labels))
  for name in ('a', 'b', 'more/c'):
    labels = np.ones([40, 60], np.uint8)
    (folders / 'labels' / f'{name}.png').write_bytes(_png(labels))
  process = _convert(folders, '--split=0.5,0.5', '--name=train,val')
  assert process.returncode == 0, process.stderr
  for name in ('train', 'val'):
    report = json.loads((folders / f'records/{name}_report.json').read_text())
    assert report['images_by_class']['stem'] == 1
    assert report['images_by_class']['leaf'] in (1, 2)


def test_a_class_list_is_needed(folders):
  process = programs.run(
    'tools/create_tf_record.py',
    f'--segmentation_dir={folders}/labels',
    f'--image_dir={folders}/images',
    f'--output_dir={folders}/records',
    '--name=train',
  )
  assert process.returncode == 2
  assert '--segmentation_dir needs --label_map' in process.stderr


def test_one_folder_of_images_and_label_maps_is_refused(folders):
  (folders / 'images' / 'a.png').write_bytes(_png(_labels()))
  process = _convert(folders)
  assert process.returncode == 1
  assert "images: 'a.jpg' and another picture differ in" in process.stderr
  assert not (folders / 'records').exists()
