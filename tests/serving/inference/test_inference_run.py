"""Whole runs with a detector without a network."""

import json
import os
import signal
import time

import numpy as np
import pytest

from serving.inference import (
  detection_files,
  html_page,
  image_ids,
  inference_run,
  pictures,
  writers,
)
from serving.predictors import predictor as predictor_lib
from tests import record_factory
from tests.serving.inference import results
from utils import errors, interruption


@pytest.fixture
def images(tmp_path):
  paths = []
  for number in range(6):
    path = tmp_path / f'image{number}.png'
    path.write_bytes(record_factory.encode(record_factory.pixels(seed=number)))
    paths.append(str(path))
  return paths


def _run(files, directory, predictor=None, ids=None, **options):
  ids = ids or image_ids.ImageIds()
  path = directory / 'out' / 'r.json'
  inference_run.run(
    files,
    predictor or results.Brightness(),
    [detection_files.CocoJsonWriter(str(path), ids)],
    ids,
    batch_size=2,
    max_pixels=10**6,
    **options,
  )


def _image_ids(directory):
  path = directory / 'out' / 'r.json'
  return [d['image_id'] for d in json.loads(path.read_text())]


def test_a_fixed_batch_comes_first(images, tmp_path):
  predictor = results.Brightness(batch_size=4)
  _run(images, tmp_path, predictor)
  assert predictor.batches == [4, 2]
  assert _image_ids(tmp_path) == [1, 2, 3, 4, 5, 6]


def test_broken_files_are_listed(images, tmp_path, capsys):
  broken = tmp_path / 'broken [bold].jpg'
  broken.write_bytes(b'no image')
  video = tmp_path / 'broken.mp4'
  video.write_bytes(b'no video')
  files = [images[0], str(broken), str(video), images[1]]
  with pytest.raises(inference_run.UnusableImagesError) as caught:
    _run(files, tmp_path)
  assert caught.value.exit_code == 3
  assert '2 of 4 images could not be used' in str(caught.value)
  listed = capsys.readouterr().err
  assert 'broken [bold].jpg' in listed and 'not an image' in listed
  assert 'broken.mp4' in listed and 'not a video' in listed
  assert len(_image_ids(tmp_path)) == 2


class _Blind(results.Brightness):
  class_map = None

  def predict(self, images):
    return [
      predictor_lib.ImageDetections(
        *[values[:0] for values in found[:3]], class_map=self.class_map
      )
      for found in super().predict(images)
    ]


def test_that_nothing_was_detected_is_told(images, tmp_path, caplog):
  _run(images, tmp_path, min_score=0.01)
  assert 'No detection' not in caplog.text
  _run(images, tmp_path, min_score=0.99)
  assert 'below --min_score_threshold=0.99' in caplog.text
  caplog.clear()
  _run(images, tmp_path, _Blind())
  assert 'no score exceeds postprocess.score_threshold' in caplog.text
  caplog.clear()
  predictor = _Blind()
  predictor.class_map = np.zeros([40, 60], np.uint8)
  _run(images, tmp_path, predictor)
  assert 'No detection to show: all pixels are of class 0.' in caplog.text


def test_a_picture_that_is_too_large_is_refused_by_the_users_flag(
  images, tmp_path, capsys
):
  large = tmp_path / 'large.png'
  large.write_bytes(record_factory.encode(record_factory.pixels(1100, 1000)))
  with pytest.raises(inference_run.UnusableImagesError):
    _run([images[0], str(large)], tmp_path)
  assert 'more than 1,000,000 (--max_pixels)' in capsys.readouterr().err


def test_without_any_result_nothing_is_written(tmp_path):
  broken = tmp_path / 'broken.jpg'
  broken.write_bytes(b'no image')
  with pytest.raises(
    inference_run.UnusableImagesError, match='Nothing was written'
  ):
    _run([str(broken)], tmp_path)
  assert os.listdir(str(tmp_path / 'out')) == []


def test_images_that_are_not_annotated(images, tmp_path, caplog):
  annotations = tmp_path / 'instances.json'
  content = {
    'images': [{'id': 9, 'file_name': 'image2.png', 'height': 40, 'width': 60}],
    'annotations': [],
    'categories': [],
  }
  annotations.write_text(json.dumps(content))
  caplog.set_level('INFO')
  _run(images, tmp_path, ids=image_ids.ImageIds(str(annotations)))
  assert _image_ids(tmp_path) == [9]
  assert '5 images are not in --annotation_file' in caplog.text
  with pytest.raises(errors.DataError, match='No image is in --annotation_fi'):
    _run(images[:1], tmp_path, ids=image_ids.ImageIds(str(annotations)))


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_is_done(images, tmp_path, number):
  class Interrupting(results.Brightness):
    def predict(self, images):
      if self.batches:
        os.kill(os.getpid(), number)
      return super().predict(images)

  with pytest.raises(interruption.Interrupted) as caught:
    _run(images, tmp_path, Interrupting())
  assert caught.value.exit_code == 128 + number
  assert 'after 4 images. The outputs hold' in str(caught.value)
  assert _image_ids(tmp_path) == [1, 2, 3, 4]


@pytest.fixture
def sigint_handler():
  """Python's own: a shell lets its background jobs ignore SIGINT."""
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  yield signal.default_int_handler
  signal.signal(signal.SIGINT, before)


def test_a_second_signal_discards(images, tmp_path, sigint_handler):
  class Interrupting(results.Brightness):
    def predict(self, images):
      os.kill(os.getpid(), signal.SIGINT)
      # Python takes two that come together for one.
      deadline = time.time() + 60
      while signal.getsignal(signal.SIGINT) != sigint_handler:
        assert time.time() < deadline
        time.sleep(0.01)
      os.kill(os.getpid(), signal.SIGINT)
      return super().predict(images)

  with pytest.raises(KeyboardInterrupt):
    _run(images, tmp_path, Interrupting())
  assert os.listdir(str(tmp_path / 'out')) == []


class _Choosy(results.Brightness):
  """Fails with a batch that holds the thin image, or the huge one."""

  def predict(self, images):
    for image in images:
      if image.shape[0] == 1:
        raise ValueError('a side of 0 pixels\nOriginal stack trace')
      if image.shape[0] == 999:
        raise MemoryError()
    return super().predict(images)


def test_an_image_that_the_model_cannot_take_spoils_no_other(
  images, tmp_path, capsys
):
  for name, height in (('thin', 1), ('huge', 999)):
    path = tmp_path / (name + '.png')
    path.write_bytes(record_factory.encode(record_factory.pixels(height, 9)))
    images.insert(1, str(path))
  with pytest.raises(inference_run.UnusableImagesError, match='2 of 8 images'):
    _run(images, tmp_path, _Choosy())
  assert _image_ids(tmp_path) == [1, 4, 5, 6, 7, 8]
  listed = capsys.readouterr().err
  assert 'thin.png: ValueError: a side of 0 pixels\n' in listed
  assert 'huge.png: out of memory\n' in listed


def test_a_picture_that_cannot_be_written_is_listed(images, tmp_path, capsys):
  long = tmp_path / 'long.png'  # A JPEG ends at 65,500 pixels.
  long.write_bytes(record_factory.encode(record_factory.pixels(1, 65536)))
  outputs = [
    pictures.PictureWriter(
      str(tmp_path / 'out'), writers.Drawing(None, 9, min_score=0.0)
    ),
    html_page.HtmlWriter(str(tmp_path / 'p.html'), 'title', None, 0.3, 100),
  ]
  with pytest.raises(inference_run.UnusableImagesError, match='1 of 3 images'):
    inference_run.run(
      [images[0], str(long), images[1]],
      results.Brightness(),
      outputs,
      None,
      batch_size=3,
      max_pixels=10**6,
    )
  assert 'long.png: ' in capsys.readouterr().err
  assert sorted(os.listdir(str(tmp_path / 'out'))) == [
    'image0.jpg',
    'image1.jpg',
  ]
  assert (tmp_path / 'p.html').exists()
