"""Where images come from."""

import cv2
import numpy as np
import pytest

from dataloader import image_reader
from serving.inference import sources
from tests import record_factory
from utils import errors


@pytest.fixture(scope='module')
def decoder():
  return image_reader.Decoder(max_pixels=10**6)


def _write_images(directory, *names):
  for seed, name in enumerate(names):
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(record_factory.encode(record_factory.pixels(seed=seed)))


def test_finds_files_folders_and_patterns(tmp_path):
  _write_images(tmp_path, 'b.jpg', 'a.PNG', 'sub/c.jpeg', 'notes.txt')
  root = str(tmp_path)
  folder = [root + name for name in ('/a.PNG', '/b.jpg', '/sub/c.jpeg')]
  assert sources.find_files([root]) == folder
  assert sources.find_files([root + '/*.jpg', root]) == [
    folder[1],
    folder[0],
    folder[2],
  ]
  # A file is taken whatever its name.
  assert sources.find_files([root + '/notes.txt']) == [root + '/notes.txt']


@pytest.mark.parametrize(
  'argument,message',
  [
    ('absent.jpg', "no file or folder '.*absent.jpg'"),
    ('*.png', "No file matches '.*png'"),
    ('em*', "No file matches '.*em[*]', but 1 folders do"),
    ('empty', "folder '.*empty' holds no image.* such as '.*empty/[*].tfrec"),
  ],
)
def test_arguments_that_stand_for_nothing(tmp_path, argument, message):
  (tmp_path / 'empty').mkdir()
  with pytest.raises(errors.DataError, match=message):
    sources.find_files([str(tmp_path / argument)])


def test_records(tmp_path, decoder):
  pixels = record_factory.pixels(seed=3)
  records = [
    record_factory.make_record(
      source_id=source_id,
      encoded=record_factory.encode(pixels, 'PNG'),
      classes=(1,),
    )
    for source_id in (b'17', b'not-a-number')
  ]
  path = record_factory.write_records(
    tmp_path / 'set.tfrecord', [*records, b'garbage']
  )
  with open(path, 'r+b') as file:
    start = file.read(60)
    file.seek(0, 2)
    file.write(start)  # a record that is cut short
  assert sources.count([path]) is None
  items = list(sources.items([path], decoder))
  assert [item.image_id for item in items[:2]] == [17, None]
  np.testing.assert_array_equal(items[0].read().pixels, pixels)
  with pytest.raises(errors.DataError, match='not a tf.train.Example'):
    items[2].read()
  with pytest.raises(errors.DataError, match='damaged TFRecord'):
    items[3].read()
  assert items[3].name == path + '#3'
  assert len(items) == 4


def test_video(tmp_path, decoder):
  path = str(tmp_path / 'v.avi')
  writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'MJPG'), 5.0, (32, 24))
  for value in (10, 240):
    frame = np.zeros([24, 32, 3], np.uint8)
    frame[:, :, 2] = value  # OpenCV's last channel is red
    writer.write(frame)
  writer.release()
  assert sources.is_video(path)
  assert sources.frames_per_second(path) == 5.0
  assert sources.count([path, 'a.jpg']) == 3
  items = list(sources.items([path], decoder))
  assert [item.name for item in items] == [path + '#0', path + '#1']
  reds = [item.read().pixels[12, 16] for item in items]
  assert reds[0][0] < 40 and reds[1][0] > 200 and reds[1][2] < 40


def test_video_that_is_none_is_one_failing_item(tmp_path, decoder):
  path = tmp_path / 'v.mp4'
  path.write_bytes(b'no video')
  (item,) = sources.items([str(path)], decoder)
  assert item.name == str(path)
  with pytest.raises(errors.DataError, match='not a video'):
    item.read()


def test_video_that_is_cut_off(tmp_path, decoder):
  path = str(tmp_path / 'v.avi')
  writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'MJPG'), 5.0, (32, 24))
  for seed in range(20):
    writer.write(record_factory.pixels(24, 32, seed))
  writer.release()
  with open(path, 'r+b') as file:
    file.seek(0, 2)
    file.truncate(file.tell() // 2)
  *frames, last = sources.items([path], decoder)
  assert 2 < len(frames) < 18
  assert frames[2].read().pixels.shape == (24, 32, 3)
  with pytest.raises(errors.DataError, match=f'ends after {len(frames)} of 20'):
    last.read()


def test_records_that_hold_nothing(tmp_path, decoder):
  path = record_factory.write_records(tmp_path / 'empty.tfrecord', [])
  (item,) = sources.items([path], decoder)
  with pytest.raises(errors.DataError, match='without a record'):
    item.read()
  record = record_factory.make_record(encoded=b'')
  path = record_factory.write_records(tmp_path / 'a.tfrecord', [record])
  (item,) = sources.items([path], decoder)
  with pytest.raises(errors.DataError, match='without image/encoded'):
    item.read()


def test_file_that_disappears(tmp_path, decoder):
  (item,) = sources.items([str(tmp_path / 'gone.jpg')], decoder)
  with pytest.raises(errors.DataError, match='cannot be read'):
    item.read()
