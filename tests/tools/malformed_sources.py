"""Folders of annotations with a file that is malformed."""

import json

from tests.tools import source_folders

YOLO = 'labels/train/pet_03.txt'
LINE = '1 0.3 0.35 0.4 0.5'
_ROW = 'pet_03.jpg,40,30,dog,4,3,20,18\n'
PLACE = '/m/dog,1,0.1,0.5,0.1,0.6'


def _shape(**changes):
  shape = {'label': 'dog', 'points': [[4, 3], [20, 18]]}
  shape = {**shape, 'shape_type': 'rectangle', **changes}
  content = {'shapes': [shape], 'imagePath': '../photos/pet_03.jpg'}
  return {'pet_03.json': json.dumps(content)}


def _csv(*rows):
  return {'labels.csv': source_folders.CSV + ''.join(rows)}


def open_images(row):
  return {'train-annotations-bbox.csv': source_folders.OPEN_IMAGES + row}


# Source, its files that are others, the findings of each kind, what the first
# one says, and the objects that are left in pet_03 and pet_11: None if the
# image is left out.
CASES = [
  ('yolo', {YOLO: ''}, {}, '', 0, 1),
  ('yolo', {YOLO: f'\ufeff \r\n\r\n{LINE}\r\n'}, {}, '', 1, 1),
  ('yolo', {YOLO: LINE.encode('utf-16')}, {}, '', 1, 1),
  ('yolo', {YOLO: None}, {'no_label_file': 1}, 'pet_03.jpg', 0, 1),
  (
    'yolo',
    {YOLO: LINE.encode() + b'\xe9'},
    {'unreadable_annotation': 1},
    f'{YOLO}: .* byte 18.* Save it as UTF-8',
    *(None, 1),
  ),
  *(
    (
      'yolo',
      {YOLO: f'{LINE}\n{line}'},
      {'malformed_line': 1},
      f'{YOLO}: line 2: .*class x y width height',
      *(1, 1),
    )
    for line in (
      *('1 0.3 0.35 0.4', '1 0.3 0.35 0.4 0.5 0.9', 'dog 0.3 0.35 0.4 0.5'),
      *('1 0,3 0,35 0,4 0,5', '1,0.3,0.35,0.4,0.5', '1 nan 0.35 0.4 0.5', 'x'),
      *('1 inf 0 0 0', '1 0 0 1 0 1 1 0', '1' * 5000),
    )
  ),
  *(
    ('yolo', {YOLO: f'{LINE}\n{line}'}, {kind: 1}, message, 1, 1)
    for line, kind, message in (
      ('2 0.3 0.35 0.4 0.5', 'unknown_class', 'line 2: class 2; there are 2'),
      ('-1 0.3 0.35 0.4 0.5', 'unknown_class', 'line 2: class -1'),
      ('1.5 0.3 0.35 0.4 0.5', 'unknown_class', 'line 2: class 1.5'),
      (LINE, 'duplicate_box', YOLO),
      ('1 12 10.5 16 15', 'box_of_pixels', r'dog \[4, 3, 20, 18\]'),
      ('0 0.5 0.5 0 0', 'box_without_area', 'cat'),
    )
  ),
  ('yolo', {YOLO: f'{LINE}\n0 0.95 0.5 0.2 0.2'}, {'box_clipped': 1})
  + ('cat', 2, 1),
  ('yolo', {YOLO[:-6] + '99.txt': LINE}, {'label_without_image': 1})
  + ('pet_99.txt', 1, 1),
  (
    'yolo of CVAT for Ultralytics',
    {
      'train.txt': 'x/images/train/pet_03.jpg\n' * 2 + 'images/train/pet_11.jpg'
    },
    {'duplicate_image': 1},
    'images/train/pet_03.jpg: in ',
    *(1, 1),
  ),
  ('csv', _csv('\n', ',,,,,,,\n'), {}, '', 1, 1),
  ('csv', _csv('pet_03.jpg,,0,cat,1,2,13,14\n'), {}, '', 2, 1),
  ('csv', {'labels.csv': source_folders.CSV.encode('utf-16')}, {}, '', 1, 1),
  ('csv', _csv('pet_04.jpg,40,30,,,,,\n'), {'missing_image': 1})
  + ('images/pet_04.jpg', 1, 1),
  *(
    ('csv', _csv(row), {kind: 1}, message, 1, 1)
    for row, kind, message in (
      ('pet_03.jpg,40,30,cat,1,5,4,9,5\n', 'malformed_line', 'line 4: 9 cells'),
      ('pet_03.jpg\n', 'malformed_line', 'line 4: 1 cells, not 8'),
      (',40,30,cat,1,2,3,4\n', 'malformed_line', 'line 4: no file name'),
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
    ('open_images', open_images(row), {kind: 1}, message, 1, 1)
    for row, kind, message in (
      (f'pet_9,x,{PLACE},0\npet_8,x,{PLACE},0\n', 'other_images', '2 boxes'),
      ('pet_03,x,/m/dog,1,left,0.5,0.1,0.6,0\n', 'malformed_box', 'line 4'),
      (f'pet_03,x,{PLACE}\n', 'malformed_line', 'line 4: 8 cells, not 9'),
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
