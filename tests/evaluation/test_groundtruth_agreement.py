"""Annotation files and label maps that do not fit the records."""

import json
import re

import pytest

from evaluation import groundtruth_agreement
from tests import record_factory
from utils import errors

_NUM_IMAGES = 10
_BOX = [12.0, 4.0, 30.0, 20.0]  # of make_record, in 60 x 40 pixels


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  """Images 1 to 10 with an object each, of the classes 1 and 2 in turn."""
  return record_factory.write_records(
    tmp_path_factory.mktemp('records') / 'set.tfrecord',
    [
      record_factory.make_record(
        source_id=str(i).encode(), classes=(2 - i % 2,)
      )
      for i in range(1, _NUM_IMAGES + 1)
    ],
  )


def _content(box=_BOX, size=(60, 40), first_class=1, ids=_NUM_IMAGES):
  return {
    'images': [
      {'id': i, 'width': size[0], 'height': size[1]} for i in range(1, ids + 1)
    ],
    'annotations': [
      {'image_id': i, 'category_id': first_class + 1 - i % 2, 'bbox': box}
      for i in range(1, ids + 1)
    ],
    'categories': [
      {'id': first_class, 'name': 'red_cell'},
      {'id': first_class + 1, 'name': 'Dog'},
      {'id': 90, 'name': 'unused'},
    ],
  }


def _check(records, directory, content, names=None, **options):
  (directory / 'a.json').write_text(json.dumps(content))
  label_map = ''
  if names:
    label_map = str(directory / 'names.txt')
    (directory / 'names.txt').write_text(names)
  groundtruth_agreement.check(
    records, str(directory / 'a.json'), label_map, **options
  )


def _said(caplog):
  return [
    record.getMessage()
    for record in caplog.records
    if record.name == groundtruth_agreement.__name__
  ]


def test_what_fits_is_silent(records, tmp_path, caplog):
  content = _content()
  # Crowds, an odd box, and classes that the file leaves out on purpose.
  content['annotations'].append(
    {'image_id': 1, 'category_id': 1, 'bbox': [0, 0, 9, 9], 'iscrowd': 1}
  )
  del content['annotations'][9]
  _check(records, tmp_path, content, '1:Red cell\n2:dog\n3:cat')
  one_class = _content()
  one_class['categories'] = one_class['categories'][1:]
  one_class['annotations'] = one_class['annotations'][1::2]
  _check(records, tmp_path, one_class)
  assert not _said(caplog)


def _doubled():
  return _content(box=[2 * value for value in _BOX])


@pytest.mark.parametrize(
  'content, words',
  [
    (
      _content(size=(120, 80)),
      'sizes differ in 10 of the first 10 images, .*'
      'image 1 has 120 x 80 there and 60 x 40 in its record',
    ),
    (
      _doubled(),
      'boxes differ in 10 .* image 1 has [[]24.0, .* there and [[]12.0',
    ),
    (
      _content(first_class=2),
      'numbers of objects by class differ in 10 .*'
      r'image 1 has {2: 1} there and {1: 1} in its record',
    ),
    (dict(_content(), annotations=[]), 'numbers of objects by class differ'),
  ],
)
def test_what_does_not_fit_is_named(records, tmp_path, caplog, content, words):
  _check(records, tmp_path, content)
  (line,) = _said(caplog)
  assert re.search(words, line)
  assert "eval.val_json_file '{}'".format(tmp_path / 'a.json') in line


def test_boxes_of_the_background_are_refused(records, tmp_path):
  with pytest.raises(errors.DataError, match=r'a\.json.* 5 boxes .* 0, which'):
    _check(records, tmp_path, _content(first_class=0))
  unused = _content()
  unused['categories'].append({'id': 0, 'name': 'background'})
  _check(records, tmp_path, unused)


def test_images_that_the_file_lacks(records, tmp_path):
  with pytest.raises(errors.DataError, match='3 of the first 10 images .* 8'):
    _check(records, tmp_path, _content(ids=7))
  _check(records, tmp_path, _content(ids=7), eval_samples=7)


def test_label_map_of_another_set(records, tmp_path, caplog):
  _check(records, tmp_path, _content(), '1:dog\n3:red cell')
  (line,) = _said(caplog)
  assert "1 is 'dog', there 'red_cell'; 2 has objects there and no name" in line
  caplog.clear()
  # The records alone have ids and no names.
  path = str(tmp_path / 'names.txt')
  groundtruth_agreement.check(records, None, path)
  (line,) = _said(caplog)
  assert ': 2 has objects there and no name.' in line


def test_masks_are_asked_for_before_the_run(records, tmp_path):
  with pytest.raises(errors.DataError, match=r'a\.json: .* no `segmentation`'):
    _check(records, tmp_path, _content(), require_masks=True)
