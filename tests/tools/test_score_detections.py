"""tools/score_detections.py gives what an evaluation gives."""

import json
import os
import re

import pytest

from evaluation import detection_file
from tests import programs
from tools import score_detections
from utils import errors

_DATA = os.environ.get('DETECTION_TEST_DATA', os.path.join('..', 'shared/data'))


def _run(*arguments):
  return programs.run('tools/score_detections.py', *arguments)


def _find(name):
  for folder, _, names in os.walk(os.path.join(programs.ROOT, _DATA)):
    if name in names:
      return os.path.join(folder, name)
  return pytest.skip(f'{name} is not in {_DATA}')


@pytest.mark.parametrize('kind,prefix', [('bbox', ''), ('segm', 'mask_')])
def test_published_metrics(tmp_path, kind, prefix):
  with open(_find('published_metrics.json')) as source:
    published = json.load(source)[kind]
  output = tmp_path / 'metrics.json'
  run = _run(
    '--detections=' + _find(f'detections_{kind}.json'),
    '--annotation_file=' + _find('instances_val2014_100.json'),
    f'--output={output}',
  )
  assert run.returncode == 0, run.stderr
  metrics = json.loads(output.read_text())
  assert set(metrics) == {prefix + name for name in published}
  for name, value in published.items():
    assert f'{metrics[prefix + name]:.3f}' == f'{value:.3f}'
  assert f'Evaluation of detections_{kind}.json' in run.stdout


@pytest.fixture
def annotations(tmp_path):
  path = tmp_path / 'instances.json'
  content = {
    'images': [{'id': 1, 'height': 10, 'width': 10}],
    'annotations': [
      {
        'id': 1,
        'image_id': 1,
        'category_id': 2,
        'bbox': [1, 1, 5, 5],
        'area': 25,
        'iscrowd': 0,
      }
    ],
    'categories': [{'id': 2, 'name': 'cell'}],
  }
  path.write_text(json.dumps(content))
  return str(path)


def test_classes(tmp_path, annotations):
  path = tmp_path / 'r.json'
  found = {'image_id': 1, 'category_id': 2, 'bbox': [1, 1, 5, 5], 'score': 0.5}
  path.write_text(json.dumps([found]))
  run = _run(
    f'--detections={path}',
    '--annotation_file=' + annotations,
    '--per_category_metrics',
  )
  assert run.returncode == 0, run.stderr
  assert 'cell' in run.stdout and '1.000' in run.stdout


def test_boxes_and_masks_of_any_kind():
  polygon = [[1, 1, 6, 1, 6, 6, 1, 6]]
  runs = [11, 5, 5, 5, 5, 5, 5, 5, 5, 5, 44]
  truth = {
    'images': [{'id': 1, 'height': 10, 'width': 10}],
    'annotations': [
      {
        'image_id': 1,
        'category_id': 2,
        'bbox': [1, 1, 5, 5],
        'area': 25,
        'iscrowd': 0,
        'segmentation': polygon,
      }
    ],
    'categories': [{'id': 2, 'name': 'cell'}],
  }
  for mask in (polygon, {'size': [10, 10], 'counts': runs}):
    found = {'image_id': 1, 'category_id': 2, 'score': 0.5}
    found.update(bbox=[1, 1, 5, 4], segmentation=mask)
    nothing = dict(found, bbox=[0, 0, 0, 0], score=0)
    del nothing['segmentation']
    detection_file.encode_masks([found, nothing], truth)
    metrics = score_detections.score([found, nothing], truth)
    assert metrics['AP'] == pytest.approx(0.7)
    assert metrics['mask_AP'] == 1
  found['segmentation'] = {'size': [5, 20], 'counts': runs}
  with pytest.raises(errors.DataError, match=r'Entry 1 .* size \[10, 10\] of'):
    detection_file.encode_masks([nothing, found], truth)


@pytest.mark.parametrize(
  'text,message',
  [
    ('{', 'is not JSON'),
    ('{}', 'a list of detections, not {}'),
    ('[]', 'a list of detections, not []'),
    ('[{"image_id": 1}]', 'entry 0: needed are the integers image_id'),
    (
      '[{"image_id": 1, "category_id": 2, "bbox": [1, NaN, 2, 2], "score": 1}]',
      'entry 0: needed are',
    ),
    (
      '[{"image_id": 1, "category_id": 3, "bbox": [1, 1, 2, 2], "score": 1}]',
      '1 values of category_id are not among the categories',
    ),
    (
      '[{"image_id": 3, "category_id": 2, "bbox": [1, 1, 2, 2], "score": 1}]',
      '1 values of image_id are not among the images',
    ),
  ],
)
def test_bad_detections(tmp_path, annotations, text, message):
  path = tmp_path / 'r.json'
  path.write_text(text)
  with pytest.raises(errors.DataError, match=re.escape(message)):
    detections = detection_file.read_detections(str(path))
    with open(annotations) as source:
      detection_file.check_known(detections, json.load(source))


def test_rows_of_evaluations_that_hold_nothing(tmp_path, annotations):
  found = {'image_id': 1, 'category_id': 2, 'bbox': [1, 1, 5, 5], 'score': 0.5}
  nothing = {'image_id': 1, 'category_id': 0, 'bbox': [0, 0, 0, 0], 'score': 0}
  with open(annotations) as source:
    detection_file.check_known([found, nothing], json.load(source))


def test_the_program_says_what_is_wrong(tmp_path, annotations):
  run = _run('--detections=/nowhere', '--annotation_file=' + annotations)
  assert run.returncode == 2
  assert run.stderr.startswith("Error: File '/nowhere' cannot be read")
