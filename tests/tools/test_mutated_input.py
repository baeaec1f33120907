"""Damaged annotations: converted, or refused by one line in a short time.

DETECTION_MUTATIONS=5000 tries more of them than the test does.
"""

import copy
import json
import os
import time

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

from evaluation import annotation_file, coco_evaluator
from tools.record_sources import coco, conversion, detection_records, voc
from tools.record_sources import report as report_lib
from utils import errors, label_map

_COUNT = int(os.environ.get('DETECTION_MUTATIONS', 40))
_SECONDS = 5
_MUTATIONS = hypothesis.settings(
  max_examples=_COUNT, deadline=None, derandomize=_COUNT < 100, database=None
)

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
_ENCODINGS = ('utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'latin-1', 'utf-32')
_TEXTS = st.sampled_from(
  ['', ' ', '²', '١', 'nan', 'inf', '1e999', '-0', '0x1', '1_0', ' 1 ', 'é']
  + ['\ud800', '\0', 'a\nb', ':', '../..', 'C:\\a.png', '9' * 400, 'a' * 5000]
  + ['cat ', 'dog', '<', '&lt;', '<object>', '</annotation>', '<!ENTITY a "">']
)
_VALUES = st.one_of(
  st.sampled_from([None, True, False, [], {}, [[]], [1], {'a': 1}, [None] * 4]),
  st.sampled_from([0, -1, 2**31, 2**63, 10**300, -(10**30), 1e308, 1e-300]),
  st.sampled_from([float('nan'), float('inf'), -float('inf'), 0.5, 1.0, 7]),
  _TEXTS,
  st.recursive(st.integers(), st.lists, max_leaves=5),
)


def _nodes(value):
  """All (container, key) within a value."""
  items = value.items() if isinstance(value, dict) else enumerate(value)
  for key, child in list(items):
    yield value, key
    if isinstance(child, (dict, list)):
      yield from _nodes(child)


@st.composite
def _mutated_json(draw):
  content = copy.deepcopy(_COCO)
  for _ in range(draw(st.integers(1, 3))):
    nodes = list(_nodes(content))
    if not nodes:
      break
    container, key = nodes[draw(st.integers(0, len(nodes) - 1))]
    change = draw(st.sampled_from(['set', 'set', 'remove', 'repeat']))
    if change == 'set':
      container[key] = draw(_VALUES)
    elif change == 'remove':
      del container[key]
    elif isinstance(container, list):
      container.append(copy.deepcopy(container[key]))
  return _mutated_bytes(draw, json.dumps(content))


def _mutated_bytes(draw, text):
  encoding = draw(st.sampled_from(('utf-8',) * 6 + _ENCODINGS))
  data = bytearray(text.encode(encoding, 'replace'))
  change = draw(st.sampled_from([''] * 6 + ['cut', 'flip', 'nest']))
  at = draw(st.integers(0, max(len(data) - 1, 0)))
  if change == 'cut':
    del data[at:]
  elif change == 'flip' and data:
    data[at] ^= draw(st.integers(1, 255))
  elif change == 'nest':
    data[at:at] = draw(st.sampled_from([b'[', b'<a>', b'{"a":'])) * 50000
  return bytes(data)


@st.composite
def _mutated_text(draw, text, marks):
  """Replaces what is between two marks by something else."""
  for _ in range(draw(st.integers(1, 3))):
    ends = [i for i, c in enumerate(text) if c in marks]
    start, end = sorted(draw(st.sampled_from(ends)) for _ in range(2))
    piece = draw(st.one_of(_TEXTS, st.text(max_size=4), st.just(text[:60])))
    text = text[: start + 1] + piece + text[end:]
  return _mutated_bytes(draw, text)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp('mutated')
  for name in ('a', 'b'):
    pixels = np.full([20, 30, 3], 99, np.uint8)
    Image.fromarray(pixels).save(str(folder / (name + '.png')))
  (folder / 'b.xml').write_text(_XML.replace('a.png', 'b.png'))
  return folder


def _try(function):
  """Runs it; what a user can mend is said in a short line."""
  start = time.time()
  try:
    return function()
  except errors.UserError as error:
    assert 10 < len(str(error)) < 2000
    return None
  finally:
    assert time.time() - start < _SECONDS


def _convert(read, folder, include_masks=False):
  def convert():
    report = report_lib.Report()
    annotated = read(report)
    output = str(folder / 'out')
    kind = detection_records.DetectionRecords(include_masks)
    written = conversion.convert(annotated, report, output, 'x', 1, True, kind)
    assert written.coco['annotations']
    # What is written can be read.
    annotation_file.load_annotations(output + '/x.json', include_masks)
    names = label_map.read_label_map(output + '/label_map.txt')
    assert names == annotated.label_map
    report.as_table()

  _try(convert)


@_MUTATIONS
@hypothesis.given(_mutated_json())
def test_coco_json(folder, content):
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

  _try(evaluate)


@_MUTATIONS
@hypothesis.given(_mutated_text(_XML, '<>'))
def test_voc_xml(folder, content):
  (folder / 'a.xml').write_bytes(content)
  _convert(
    lambda report: voc.read_voc(str(folder), str(folder), report), folder
  )


@_MUTATIONS
@hypothesis.given(_mutated_text('1:cat\n2:dog\n', '\n:'))
def test_label_map(folder, content):
  (folder / 'labels.txt').write_bytes(content)
  _try(lambda: label_map.read_label_map(str(folder / 'labels.txt')))
