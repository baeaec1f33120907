"""Pictures and videos with boxes."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image

from serving.inference import pictures, sources, writers
from tests.serving.inference import results


def test_pictures_keep_their_names_apart(tmp_path):
  how = writers.Drawing(results.LABEL_MAP, max_boxes=1, min_score=0.0)
  writer = pictures.PictureWriter(str(tmp_path / 'out'), how)
  names = ('p/a b.png', 'q/a b.jpg', 'a_b-2.jpg', 'r.tfrecord#3')
  for name in names:
    writer.add(results.result(name))
  assert '4 pictures' in writer.close()
  names = sorted(os.listdir(str(tmp_path / 'out')))
  assert names == ['a_b-2-2.jpg', 'a_b-2.jpg', 'a_b.jpg', 'r.tfrecord_3.jpg']
  pixels = np.asarray(Image.open(str(tmp_path / 'out' / 'a_b.jpg')))
  assert pixels.shape == (40, 60, 3)
  # The cat's frame is there, the dog's is not.
  assert np.abs(pixels[25, 3].astype(int) - 200).max() > 40
  assert np.abs(pixels[19, 47].astype(int) - 200).max() < 12


@pytest.mark.parametrize('ending', ['mp4', 'avi'])
def test_video(tmp_path, ending):
  path = str(tmp_path / ('v.' + ending))
  how = writers.Drawing(None, max_boxes=9, min_score=0.0)
  writer = pictures.VideoWriter(path, 10.0, how)
  for _ in range(3):
    writer.add(results.result(size=(48, 64)))
  assert not os.path.exists(path)
  assert '3 frames' in writer.close()
  assert sources.frames_per_second(path) == 10.0
  assert sources.count([path]) == 3
  is_read, frame = cv2.VideoCapture(path).read()
  assert is_read and frame.shape == (48, 64, 3) and frame.std() > 5
  assert os.listdir(str(tmp_path)) == ['v.' + ending]


def test_unfinished_video_is_removed(tmp_path):
  how = writers.Drawing(None, max_boxes=9, min_score=0.0)
  writer = pictures.VideoWriter(str(tmp_path / 'v.mp4'), 10.0, how)
  writer.add(results.result(size=(48, 64)))
  assert os.listdir(str(tmp_path))
  writer.discard()
  assert os.listdir(str(tmp_path)) == []
