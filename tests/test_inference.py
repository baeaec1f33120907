"""inference.py as a program, with a small trained network."""

import json
import os

import cv2
import numpy as np
import pytest

import export_saved_model
from serving.predictors import checkpoint
from tests import programs, record_factory, tiny_export


@pytest.fixture(scope='module')
def model(tmp_path_factory):
  return tiny_export.make(tmp_path_factory.mktemp('model'))


@pytest.fixture(scope='module')
def images(tmp_path_factory):
  directory = tmp_path_factory.mktemp('images')
  for number, pixels in enumerate(tiny_export.images(5)):
    encoded = record_factory.encode(pixels, 'PNG')
    (directory / f'image{number}.png').write_bytes(encoded)
  return directory


def _run(*arguments):
  # No path is wrapped.
  return programs.run('inference.py', *arguments, COLUMNS='300')


def _expected(model):
  predictor = checkpoint.CheckpointPredictor(model.checkpoint, model.params)
  images = list(tiny_export.images(5))
  return [
    found.clipped_to(*image.shape[:2])
    for found, image in zip(predictor.predict(images), images)
  ]


def _check_json(path, expected):
  detections = json.loads(path.read_text())
  assert len(detections) == sum(len(found.scores) for found in expected) > 5
  for image_id, found in enumerate(expected, start=1):
    ours = [d for d in detections if d['image_id'] == image_id]
    np.testing.assert_allclose(
      [d['score'] for d in ours], found.scores, atol=1e-4
    )
    corners = [(d['bbox'][1], d['bbox'][0]) for d in ours]
    np.testing.assert_allclose(corners, found.boxes[:, :2], atol=0.01)


@pytest.mark.slow
def test_checkpoint_over_a_folder_with_a_broken_file(model, images, tmp_path):
  broken = tmp_path / 'broken.jpg'
  broken.write_bytes(b'no image')
  run = _run(
    '--checkpoint_path=' + model.directory,
    '--batch_size=2',
    '--output_json={}'.format(tmp_path / 'r.json'),
    '--output_csv={}'.format(tmp_path / 'r.csv'),
    '--output_dir={}'.format(tmp_path / 'pictures'),
    '--output_html={}'.format(tmp_path / 'page.html'),
    images,
    broken,
  )
  assert run.returncode == 3, run.stderr
  assert 'Traceback' not in run.stderr
  assert 'broken.jpg' in run.stderr and 'not an image' in run.stderr
  assert 'Error: 1 of 6 images could not be used' in run.stderr
  _check_json(tmp_path / 'r.json', _expected(model))
  assert len(os.listdir(str(tmp_path / 'pictures'))) == 5
  assert len((tmp_path / 'r.csv').read_text().splitlines()) > 1
  assert 'image3.png' in (tmp_path / 'page.html').read_text()
  assert not [n for n in os.listdir(str(tmp_path)) if n.startswith('.')]


def test_exported_model(model, images, tmp_path):
  export_dir = str(tmp_path / 'export')
  export_saved_model.export(
    export_dir,
    model.directory,
    input_type='image_bytes',
    batch_size=-1,
    image_size=(64, 64),
    check=False,
  )
  run = _run(
    '--saved_model_dir=' + export_dir,
    '--output_json={}'.format(tmp_path / 'r.json'),
    f'--image_file_pattern={images}/*.png',
  )
  assert run.returncode == 0, run.stderr
  _check_json(tmp_path / 'r.json', _expected(model))


def test_video_to_video(model, tmp_path):
  path = tmp_path / 'in.avi'
  writer = cv2.VideoWriter(
    str(path), cv2.VideoWriter_fourcc(*'MJPG'), 5.0, (64, 48)
  )
  for frame in tiny_export.images(3):
    writer.write(frame)
  writer.release()
  run = _run(
    '--checkpoint_path=' + model.directory,
    '--image_size=64',
    '--min_score_threshold=0',
    '--output_video={}'.format(tmp_path / 'out.mp4'),
    path,
  )
  assert run.returncode == 0, run.stderr
  assert 'of 3 images' in run.stderr and 'images/s' in run.stderr
  capture = cv2.VideoCapture(str(tmp_path / 'out.mp4'))
  assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 3
  is_read, drawn = capture.read()
  _, original = cv2.VideoCapture(str(path)).read()
  assert is_read
  assert np.abs(drawn.astype(int) - original).max() > 60


@pytest.mark.parametrize(
  'arguments,message,exit_code',
  [
    (
      ['--output_json=r.json', 'x.jpg'],
      "There is no file or folder 'x.jpg'",
      1,
    ),
    (['--output_json=r.json'], 'name files, folders or patterns', 2),
    (
      ['--output_csv=r.csv', '--annotation_file=x', __file__],
      '--annotation_file=x has no effect without --output_json',
      2,
    ),
  ],
  ids=['image', 'no image', 'annotations'],
)
def test_errors(arguments, message, exit_code):
  run = _run(*arguments)
  assert run.returncode == exit_code, run.stderr
  assert run.stderr.startswith('Error: ') and message in run.stderr
  assert 'Traceback' not in run.stderr
