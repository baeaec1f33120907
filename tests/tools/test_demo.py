"""The demo: its folder, its pictures and, slow, what it reaches."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tools import demo_pictures

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


def _run_demo(*args):
  return subprocess.run(
    [sys.executable, '-m', 'tools.demo', *args],
    cwd=_ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    universal_newlines=True,
  )


def test_grid_places_pictures_row_by_row():
  colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
  pictures = [Image.new('RGB', (20, 10), colour) for colour in colours]
  grid = demo_pictures.make_grid(pictures, num_columns=2)
  assert grid.size == (20 + 8 + 20, 10 + 8 + 10)
  assert grid.getpixel((10, 5)) == colours[0]
  assert grid.getpixel((38, 5)) == colours[1]
  assert grid.getpixel((10, 23)) == colours[2]
  assert grid.getpixel((38, 23)) == (255, 255, 255)


def test_detections_are_drawn_where_they_are(tmp_path):
  Image.new('RGB', (80, 80), (90, 90, 90)).save(str(tmp_path / 'a.png'))
  Image.new('RGB', (80, 80), (90, 90, 90)).save(str(tmp_path / 'b.png'))
  (tmp_path / 'val.json').write_text(
    json.dumps(
      {
        'images': [
          {'id': 4, 'file_name': 'a.png'},
          {'id': 9, 'file_name': 'b.png'},
        ]
      }
    )
  )
  detection = {'image_id': 4, 'category_id': 1, 'bbox': [20, 40, 30, 30]}
  (tmp_path / 'predictions.json').write_text(
    json.dumps(
      [dict(detection, score=0.9), dict(detection, image_id=9, score=0.1)]
    )
  )
  overview = demo_pictures.write_pictures(
    annotation_file=str(tmp_path / 'val.json'),
    predictions_file=str(tmp_path / 'predictions.json'),
    image_dir=str(tmp_path),
    names={1: 'star'},
    output_dir=str(tmp_path / 'out'),
    count=2,
  )
  assert Image.open(overview).size == (160 + 8 + 160, 160)
  changed = [
    np.any(
      np.asarray(Image.open(str(tmp_path / 'out' / 'pictures' / name))) != 90,
      axis=-1,
    )
    for name in ('a.png', 'b.png')
  ]
  # Twice as large: the box spans x 40 to 100, y 80 to 140, its label is above.
  assert changed[0][84:136, 36:44].any(axis=1).all()
  assert changed[0][136:144, 44:96].any(axis=0).all()
  assert not changed[0][150:].any()
  assert not changed[1].any()


def test_somebody_elses_files_stay(tmp_path):
  (tmp_path / 'thesis.txt').write_text('years of work')
  done = _run_demo('--output_dir={}'.format(tmp_path))
  assert done.returncode == 1
  assert str(tmp_path) in done.stderr
  assert 'Traceback' not in done.stderr
  assert [path.name for path in tmp_path.iterdir()] == ['thesis.txt']


@pytest.mark.slow
def test_the_demo_finds_shapes_that_it_has_not_seen(tmp_path):
  done = _run_demo('--output_dir={}'.format(tmp_path))
  assert done.returncode == 0, done.stderr[-4000:]
  metrics = json.loads(
    (tmp_path / 'model' / 'eval' / 'metrics.json').read_text()
  )
  assert metrics['AP50'] >= 0.7
  assert len(list((tmp_path / 'pictures').iterdir())) == 12
  assert (tmp_path / 'detections.png').exists()
