"""Damaged annotations and label maps."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

from evaluation import annotation_file, coco_evaluator
from tests import mutations
from tools.record_sources import (
  coco,
  conversion,
  detection_records,
  sources,
  voc,
)
from tools.record_sources import report as report_lib
from utils import label_map

_IMAGE = {'id': 1, 'file_name': 'a.png', 'width': 30, 'height': 20}
_OBJECT = {
  'id': 1,
  'image_id': 1,
  'category_id': 1,
  'bbox': [2, 3, 10, 11],
  'area': 110,
  'iscrowd': 0,
  'segmentation': [[2, 3, 12, 3, 12, 14]],
}
_COCO = {
  'images': [_IMAGE, dict(_IMAGE, id=2, file_name='b.png')],
  'annotations': [
    _OBJECT,
    dict(_OBJECT, id=2, segmentation={'counts': [3, 597], 'size': [20, 30]}),
    dict(_OBJECT, id=3, image_id=2),
  ],
  'categories': [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'dog'}],
}
_XML = (
  '<?xml version="1.0"?><annotation><filename>a.png</filename><size>'
  '<width>30</width><height>20</height></size><object><name>cat</name>'
  '<difficult>0</difficult><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>12</xmax>'
  '<ymax>14</ymax></bndbox></object></annotation>'
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp('mutated')
  for name in ('a', 'b'):
    pixels = np.full([20, 30, 3], 99, np.uint8)
    Image.fromarray(pixels).save(str(folder / (name + '.png')))
  (folder / 'b.xml').write_text(_XML.replace('a.png', 'b.png'))
  return folder


def _convert(read, folder, include_masks=False):
  def convert():
    report = report_lib.Report()
    annotated = read(report)
    output = str(folder / 'out')
    kind = detection_records.DetectionRecords(include_masks)
    splits = {'x': annotated}
    written = conversion.convert(splits, report, output, 1, True, kind)
    assert written['x'].coco['annotations']
    # What is written can be read.
    annotation_file.load_annotations(output + '/x.json', include_masks)
    names = label_map.read_label_map(output + '/label_map.txt')
    assert names == annotated.label_map
    report.as_table()

  mutations.attempt(convert)
  # Nothing is half-written.
  assert not list(folder.glob('out/.*'))


_LONG_NAME = json.dumps(
  {
    **_COCO,
    'images': [{'id': 1, 'file_name': '[' * 5000, 'height': 9, 'width': 9}],
  }
).encode()


@mutations.mutated(mutations.json_files(_COCO), [_LONG_NAME])
def test_coco_json(content, folder):
  path = str(folder / 'in.json')
  (folder / 'in.json').write_bytes(content)
  for include_masks in (False, True):
    _convert(
      lambda report: coco.read_coco(path, str(folder), report),
      folder,
      include_masks,
    )

  def evaluate():
    evaluator = coco_evaluator.COCOEvaluator(path, include_mask=True)
    ids = sorted(image['id'] for image in evaluator._annotations['images'])[:2]
    if ids:
      evaluator.update(
        {
          'source_id': np.array(ids),
          'num_detections': np.ones([len(ids)], np.int32),
          'detection_boxes': np.float32([[[3, 2, 14, 12]]] * len(ids)),
          'detection_classes': np.ones([len(ids), 1], np.int32),
          'detection_scores': np.ones([len(ids), 1], np.float32),
          'detection_masks': [[None]] * len(ids),
          'image_info': np.ones([len(ids), 4, 2], np.float32),
        }
      )
      evaluator.evaluate()

  mutations.attempt(evaluate)


@mutations.mutated(mutations.encoded(mutations.texts(_XML, '<>')))
def test_voc_xml(content, folder):
  (folder / 'a.xml').write_bytes(content)
  _convert(
    lambda report: voc.read_voc(str(folder), str(folder), report), folder
  )


_SHAPE = {'label': 'cat', 'points': [[2, 3], [12, 3], [12, 14]]}
_LABELME = {
  'shapes': [_SHAPE, {**_SHAPE, 'shape_type': 'rectangle', 'group_id': 1}],
  'imagePath': '..\\images\\a.png',
  'imageHeight': 20,
  'imageWidth': 30,
}
_YAML = 'path: .\ntrain: images\nnc: 2\nnames:\n  0: cat\n  1: dog\n'
_CSV = (
  'filename,width,height,class,xmin,ymin,xmax,ymax\n'
  'a.png,30,20,cat,2,3,12,14\n"b.png",,,a,1,2,9,9\n'
)
_OPEN_IMAGES = (
  'ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\n'
  'a,/m/1,.1,.4,.2,.7,0\nb,/m/2,0,1,0,1,1\n'
)
# Source, what it reads, and the file that is damaged with its content.
_SOURCES = [
  ('yolo', '', 'labels/a.txt', '0 .3 .5 .2 .1\n1 .1 .1 .5 .1 .5 .5\n'),
  ('yolo', '', 'data.yaml', _YAML),
  ('csv', 'a.csv', 'a.csv', _CSV),
  ('open_images', 'b.csv', 'b.csv', _OPEN_IMAGES),
  ('labelme', 'json', 'json/a.json', json.dumps(_LABELME)),
]


@pytest.fixture(scope='module')
def others(folder):
  """The set in every other format, in one folder."""
  for name in ('images', 'labels', 'json'):
    (folder / name).mkdir()
  for name in ('a', 'b'):
    shutil.copy(str(folder / (name + '.png')), str(folder / 'images'))
    (folder / 'labels' / (name + '.txt')).write_text('0 .3 .5 .2 .2\n')
  content = dict(_LABELME, imagePath='../images/b.png')
  (folder / 'json/b.json').write_text(json.dumps(content))
  return folder


@st.composite
def _damaged_sources(draw):
  source, given, name, text = draw(st.sampled_from(_SOURCES))
  if name.endswith('.json'):
    content = draw(mutations.json_files(json.loads(text)))
  else:
    content = draw(mutations.encoded(mutations.texts(text, '\n, :"')))
  return source, given, name, text, content


@mutations.mutated(_damaged_sources(), quick=80)
def test_other_sources(example, others):
  source, given, name, text, content = example
  (others / name).write_bytes(content)
  path = str(others / given)
  mutations.attempt(lambda: sources.recognise(path))
  found = sources.Found(source, path)
  image_dir = None if source == 'yolo' else str(others / 'images')
  _convert(
    lambda report: sources.read(found, image_dir, report),
    others,
    include_masks=len(content) % 2 == 0,
  )
  (others / name).write_text(text)


_LABEL_MAPS = st.sampled_from(
  [
    *('1:cat\n2:dog\n', '\n 7 : cat \r\n007.0:a:b\n', 'cat\ndog\n'),
    *('item {\n  id: 1\n  name: "cat"\n}\n', '1: cat\n2: "dog"\n', '- cat\n'),
    *('{"1": "cat",\n"2": "dog"}', '1,cat\n', '1\tcat\n', '-1:cat\n'),
  ]
)


@mutations.mutated(
  mutations.encoded(
    _LABEL_MAPS.flatmap(lambda text: mutations.texts(text, '\n: '))
  )
)
def test_label_map(content, folder):
  path = str(folder / 'labels.txt')
  (folder / 'labels.txt').write_bytes(content)
  names = mutations.attempt(lambda: label_map.read_label_map(path))
  if isinstance(names, dict):
    label_map.write_label_map(path, names)
    assert label_map.read_label_map(path) == dict(sorted(names.items()))
