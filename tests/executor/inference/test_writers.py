"""Files that inference writes."""

import csv
import json
import os

import cv2
import numpy as np
import pytest
from PIL import Image

from executor.inference import sources, writers
from tests.executor.inference import results
from utils import errors


def _leftovers(directory):
  return [name for name in os.listdir(str(directory)) if name[0] == '.']


def test_coco_json_numbers_images(tmp_path):
  path = tmp_path / 'sub' / 'r.json'
  writer = writers.CocoJsonWriter(str(path))
  writer.add(results.result('x/a.jpg'))
  writer.add(results.result('x/b.jpg', size=(50, 70)))
  assert not path.exists()
  assert '4 detections' in writer.close()
  detections = json.loads(path.read_text())
  assert detections[0] == {
    'image_id': 1,
    'category_id': 1,
    'bbox': [3.0, 2.0, 37.0, 28.0],
    'score': pytest.approx(0.9),
  }
  assert [d['image_id'] for d in detections] == [1, 1, 2, 2]
  images = json.loads((tmp_path / 'sub' / 'r.json.images.json').read_text())
  assert images['images'][1] == {
    'id': 2,
    'file_name': 'x/b.jpg',
    'height': 50,
    'width': 70,
  }


def _annotations(path, *names):
  content = {
    'images': [
      {'id': 10 + i, 'file_name': name, 'height': 9, 'width': 9}
      for i, name in enumerate(names)
    ],
    'annotations': [],
    'categories': [{'id': 1, 'name': 'cat'}],
  }
  path.write_text(json.dumps(content))
  return str(path)


def test_coco_json_takes_ids_from_annotations_and_records(tmp_path):
  annotations = _annotations(tmp_path / 'instances.json', 'b.jpg', 'a.jpg')
  writer = writers.CocoJsonWriter(str(tmp_path / 'r.json'), annotations)
  writer.add(results.result('elsewhere/a.jpg'))
  writer.add(results.result('record', image_id=77))
  writer.close()
  ids = [d['image_id'] for d in json.loads((tmp_path / 'r.json').read_text())]
  assert ids == [11, 11, 77, 77]
  assert not (tmp_path / 'r.json.images.json').exists()
  with pytest.raises(errors.DataError, match="'c.jpg' is not among"):
    writer.add(results.result('c.jpg'))
  with pytest.raises(errors.DataError, match='image_id 77, which an earlier'):
    writer.add(results.result('again', image_id=77))


def test_annotations_with_a_name_twice(tmp_path):
  annotations = _annotations(tmp_path / 'instances.json', 'p/a.jpg', 'q/a.jpg')
  with pytest.raises(errors.DataError, match="'a.jpg' stands for several"):
    writers.CocoJsonWriter(str(tmp_path / 'r.json'), annotations)


def test_csv(tmp_path):
  path = tmp_path / 'r.csv'
  writer = writers.CsvWriter(str(path), results.LABEL_MAP, min_score=0.4)
  writer.add(results.result('a,"b".jpg'))
  writer.close()
  with open(str(path), newline='') as file:
    rows = list(csv.reader(file))
  assert rows[0] == list(writers.CsvWriter.COLUMNS)
  assert rows[2] == [
    'a,"b".jpg',
    '2',
    'dog <b>',
    '0.400000',
    '10.13',
    '20.00',
    '20.00',
    '50.00',
  ]
  writer = writers.CsvWriter(str(path), None, min_score=0.5)
  writer.add(results.result())
  assert '1 rows' in writer.close()


def test_pictures_keep_their_names_apart(tmp_path):
  how = writers.Drawing(results.LABEL_MAP, max_boxes=1, min_score=0.0)
  writer = writers.PictureWriter(str(tmp_path / 'out'), how)
  for name in ('p/a b.png', 'q/a b.jpg', 'r.tfrecord#3'):
    writer.add(results.result(name))
  assert '3 pictures' in writer.close()
  names = sorted(os.listdir(str(tmp_path / 'out')))
  assert names == ['a_b-2.jpg', 'a_b.jpg', 'r.tfrecord_3.jpg']
  pixels = np.asarray(Image.open(str(tmp_path / 'out' / 'a_b.jpg')))
  assert pixels.shape == (40, 60, 3)
  # The cat's frame is there, the dog's is not.
  assert np.abs(pixels[25, 3].astype(int) - 200).max() > 40
  assert np.abs(pixels[19, 47].astype(int) - 200).max() < 12


@pytest.mark.parametrize('ending', ['mp4', 'avi'])
def test_video(tmp_path, ending):
  path = str(tmp_path / ('v.' + ending))
  video = sources.Video(10.0, 64, 48, 3)
  how = writers.Drawing(None, max_boxes=9, min_score=0.0)
  writer = writers.VideoWriter(path, video, how)
  for _ in range(3):
    writer.add(results.result(size=(48, 64)))
  assert not os.path.exists(path)
  assert '3 frames' in writer.close()
  assert sources.video_properties(path) == video
  is_read, frame = cv2.VideoCapture(path).read()
  assert is_read and frame.std() > 5
  assert not _leftovers(tmp_path)


def test_unfinished_video_is_removed(tmp_path):
  how = writers.Drawing(None, max_boxes=9, min_score=0.0)
  writer = writers.VideoWriter(
    str(tmp_path / 'v.mp4'), sources.Video(10.0, 64, 48, 3), how
  )
  writer.add(results.result(size=(48, 64)))
  writer.discard()
  assert os.listdir(str(tmp_path)) == []


def test_video_of_an_unknown_kind(tmp_path):
  with pytest.raises(errors.ConfigError, match=r"v.gif' has to end in .mp4"):
    writers.VideoWriter(str(tmp_path / 'v.gif'), None, None)


def test_outputs_are_checked():
  with pytest.raises(errors.ConfigError, match='at least one of --a, --b'):
    writers.check_outputs({'a': '', 'b': ''})
  with pytest.raises(errors.ConfigError, match='same path: --a=x, --b=./x'):
    writers.check_outputs({'a': 'x', 'b': './x'})
  writers.check_outputs({'a': 'x', 'b': 'y', 'c': ''})
