"""Annotations of other tools are recognised, and nothing gets lost unsaid."""

import json
import re

import pytest

from tests.tools import annotated_images, source_folders
from tools.record_sources import report as report_lib
from tools.record_sources import sources

_YOLO = 'labels/train/pet_03.txt'
_LINE = '1 0.3 0.35 0.4 0.5'
_ROW = 'pet_03.jpg,40,30,dog,4,3,20,18\n'
_PLACE = '/m/dog,1,0.1,0.5,0.1,0.6'


@pytest.fixture
def folder(tmp_path):
  folder = tmp_path / 'in'
  folder.mkdir()
  return folder


def _read(path, report=None, image_dir=None, source=None, **wanted):
  return sources.read(
    sources.recognise(str(path), source),
    image_dir and str(image_dir),
    report or report_lib.Report(),
    sources.Wanted(**wanted),
  )


def _boxes(coco):
  """{name of the image, without folder and suffix: [(class, bbox), ...]}."""
  names = {entry['id']: entry['name'] for entry in coco['categories']}
  found = {}
  for image in coco['images']:
    path = image['file_name'].replace('\\', '/')
    found[path.split('/')[-1].split('.')[0]] = [
      (names[entry['category_id']], pytest.approx(entry['bbox']))
      for entry in coco['annotations']
      if entry['image_id'] == image['id']
    ]
  return found


@pytest.mark.parametrize('name', source_folders.SOURCES)
def test_every_source_gives_the_same_boxes(name, folder, tmp_path):
  path = source_folders.SOURCES[name](folder)
  assert sources.recognise(str(path)).source == name.split()[0]
  report = report_lib.Report()
  annotated = _read(path, report, subset='train')
  prefix = '/m/' if name == 'open_images' else ''
  names = {1: prefix + 'cat', 2: prefix + 'dog'}
  assert annotated.label_map == names
  written = annotated_images.convert(annotated, report, tmp_path)
  assert _boxes(written.coco) == {
    'pet_03': [(names[2], [4, 3, 16, 15])],
    'pet_11': [(names[1], [0, 0, 40, 30])],
  }
  assert report.num_problems == 0
  assert sorted(image['id'] for image in written.coco['images']) == (
    [0, 1]
    if name == 'coco of Label Studio'
    else [1, 2]
    if name == 'coco of CVAT'
    else [3, 11]
  )


def _shape(**changes):
  shape = {'label': 'dog', 'points': [[4, 3], [20, 18]]}
  shape = {**shape, 'shape_type': 'rectangle', **changes}
  content = {'shapes': [shape], 'imagePath': '../photos/pet_03.jpg'}
  return {'pet_03.json': json.dumps(content)}


def _csv(*rows):
  return {'labels.csv': source_folders.CSV + ''.join(rows)}


def _open_images(row):
  return {'train-annotations-bbox.csv': source_folders.OPEN_IMAGES + row}


# Source, its files that are others, the findings of each kind, what the first
# one says, and the objects that are left in pet_03 and pet_11: None if the
# image is left out.
_MALFORMED = [
  ('yolo', {_YOLO: ''}, {}, '', 0, 1),
  ('yolo', {_YOLO: f'\ufeff \r\n\r\n{_LINE}\r\n'}, {}, '', 1, 1),
  ('yolo', {_YOLO: _LINE.encode('utf-16')}, {}, '', 1, 1),
  ('yolo', {_YOLO: None}, {'no_label_file': 1}, 'pet_03.jpg', 0, 1),
  (
    'yolo',
    {_YOLO: _LINE.encode() + b'\xe9'},
    {'unreadable_annotation': 1},
    f'{_YOLO}: .* byte 18.* Save it as UTF-8',
    *(None, 1),
  ),
  *(
    (
      'yolo',
      {_YOLO: f'{_LINE}\n{line}'},
      {'malformed_line': 1},
      f'{_YOLO}: line 2: .*class x y width height',
      *(1, 1),
    )
    for line in (
      *('1 0.3 0.35 0.4', '1 0.3 0.35 0.4 0.5 0.9', 'dog 0.3 0.35 0.4 0.5'),
      *('1 0,3 0,35 0,4 0,5', '1,0.3,0.35,0.4,0.5', '1 nan 0.35 0.4 0.5', 'x'),
      *('1.5 0.3 0.35 0.4 0.5', '1 inf 0 0 0', '1 0 0 1 0 1 1 0', '1' * 5000),
    )
  ),
  *(
    ('yolo', {_YOLO: f'{_LINE}\n{line}'}, {kind: 1}, message, 1, 1)
    for line, kind, message in (
      ('2 0.3 0.35 0.4 0.5', 'unknown_class', 'line 2: class 2; .* 0 to 1'),
      ('-1 0.3 0.35 0.4 0.5', 'unknown_class', 'line 2: class -1'),
      (_LINE, 'duplicate_box', _YOLO),
      ('1 12 10.5 16 15', 'box_of_pixels', r'dog \[4, 3, 20, 18\]'),
      ('0 0.5 0.5 0 0', 'box_without_area', 'cat'),
    )
  ),
  ('yolo', {_YOLO: f'{_LINE}\n0 0.95 0.5 0.2 0.2'}, {'box_clipped': 1})
  + ('cat', 2, 1),
  ('yolo', {_YOLO[:-6] + '99.txt': _LINE}, {'label_without_image': 1})
  + ('pet_99.txt', 1, 1),
  ('csv', _csv('\n', ',,,,,,,\n'), {}, '', 1, 1),
  ('csv', {'labels.csv': source_folders.CSV.encode('utf-16')}, {}, '', 1, 1),
  ('csv', _csv('pet_04.jpg,40,30,,,,,\n'), {'missing_image': 1})
  + ('images/pet_04.jpg', 1, 1),
  *(
    ('csv', _csv(row), {kind: 1}, message, 1, 1)
    for row, kind, message in (
      ('pet_03.jpg,40,30,cat,1,5,4,9,5\n', 'malformed_line', 'line 4: 9 cells'),
      ('pet_03.jpg\n', 'malformed_line', 'line 4: 1 cells, not 8'),
      (',40,30,cat,1,2,3,4\n', 'malformed_line', 'line 4: no filename'),
      ('pet_03.jpg,40,30,,1,2,3,4\n', 'malformed_line', 'line 4: no class'),
      ('"pet_03.jpg,40\n\n', 'malformed_line', 'line 4 up to 6: .*quote'),
      (
        'pet_03.jpg,30,40,cat,1,2,3,4\n',
        'malformed_line',
        'line 4: image size',
      ),
      ('pet_03.jpg,40,30,cat,1,"2,5",3,4\n', 'malformed_box', 'line 4: .*2,5'),
      ('pet_03.jpg,40,30,cat,1,,3,4\n', 'malformed_box', 'line 4: .*numbers'),
      (_ROW, 'duplicate_box', 'dog'),
      ('pet_03.jpg,40,30,cat,0.1,0.1,0.5,0.5\n', 'box_of_shares', 'cat'),
      ('pet_03.jpg,40,30,cat,9,9,3,4\n', 'box_without_area', 'cat'),
    )
  ),
  *(
    ('open_images', _open_images(row), {kind: 1}, message, 1, 1)
    for row, kind, message in (
      (f'pet_9,x,{_PLACE},0\npet_8,x,{_PLACE},0\n', 'other_images', '2 boxes'),
      ('pet_03,x,/m/dog,1,left,0.5,0.1,0.6,0\n', 'malformed_box', 'line 4'),
      (f'pet_03,x,{_PLACE}\n', 'malformed_line', 'line 4: 8 cells, not 9'),
    )
  ),
  *(
    ('labelme', _shape(**changes), {kind: 1}, message, 0, 1)
    for changes, kind, message in (
      ({'shape_type': 'line'}, 'other_shape', r"shape 1 \(dog\): 'line'"),
      ({'shape_type': ['line']}, 'other_shape', 'shape 1'),
      ({'label': None}, 'malformed_box', 'shape 1 .*`label`'),
      ({'points': [[4, 3]]}, 'malformed_box', 'shape 1 .*`points`'),
      ({'points': [4, 3, 20, 18]}, 'malformed_box', 'shape 1'),
      ({'points': [['4,5', 3], [20, 18]]}, 'malformed_box', 'shape 1'),
      ({'points': [[4, float('nan')], [20, 18]]}, 'malformed_box', 'shape 1'),
      ({'points': [[4, 3], [4, 3]]}, 'box_without_area', 'dog'),
    )
  ),
  *(
    (
      'labelme',
      {'pet_03.json': text},
      {'unreadable_annotation': 1},
      f'pet_03.json: {message}',
      *(None, 1),
    )
    for text, message in (
      ('', 'no JSON.* cut off'),
      ('{"shapes": [', 'no JSON'),
      ('[]', 'not of LabelMe.*`shapes`'),
      ('{"shapes": [], "imagePath": 3.5}', 'not of LabelMe.*`imagePath`'),
      ('{"imagePath": "a.jpg"}', 'not of LabelMe'),
      (b'{"imagePath": "\xe9"}', '.*Save it as UTF-8'),
    )
  ),
  (
    'labelme',
    {'pet_12.json': '{"shapes": [], "imagePath": "../photos/pet_03.jpg"}'},
    {'duplicate_image': 1},
    'pet_12.json: ../photos/pet_03.jpg',
    *(1, 1),
  ),
]


@pytest.mark.parametrize(
  'source, changes, kinds, message, num_03, num_11', _MALFORMED
)
def test_what_is_malformed_is_counted_and_named(
  source, changes, kinds, message, num_03, num_11, folder, tmp_path
):
  path = source_folders.SOURCES[source](folder)
  root = path if path.is_dir() else folder
  for name, content in changes.items():
    if content is None:
      (root / name).unlink()
    else:
      source_folders.write(root, {name: content})
  report = report_lib.Report()
  annotated = _read(path, report)
  written = annotated_images.convert(annotated, report, tmp_path)
  found = {k: len(boxes) for k, boxes in _boxes(written.coco).items()}
  expected = {'pet_03': num_03, 'pet_11': num_11}
  assert found == {k: v for k, v in expected.items() if v is not None}
  assert {kind: report.count(kind) for kind in report.as_dict()} == kinds
  if kinds:
    (entry,) = report.as_dict().values()
    told = '{file}: {detail}'.format(**entry['findings'][0])
    assert re.search(message, told), told
    assert len(told.splitlines()) == 1 and len(told) < 300
