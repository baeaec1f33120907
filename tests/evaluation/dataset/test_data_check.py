"""A data set broken in one way at a time, and what is found of it."""

import io

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from evaluation.dataset import data_check
from executor import training_set
from tests import (
  classification_set,
  golden_numbers,
  record_factory,
  segmentation_set,
)
from tests.evaluation.dataset import checked_sets
from utils import errors


def test_nothing_is_found_in_a_good_set(tmp_path):
  params = checked_sets.write(
    tmp_path,
    texts={
      'label_map_file': '1:a\n2:b\n',
      'val_json_file': checked_sets.annotations([11, 12]),
    },
  )
  assert checked_sets.told(params) == []


def _without_image(number):
  example = tf.train.Example.FromString(checked_sets.record(number))
  del example.features.feature['image/encoded']
  return example.SerializeToString()


_NAN, _INF = float('nan'), float('inf')
# What is in the training set beside good records, and what is found: severity,
# the start of the title, count, words of the example.
_BROKEN_TRAINING = {
  'no tf.Example': ([b'\x07hm'], 'error', 'records that', 1, 'record 2: it is'),
  'no image': (
    [_without_image(3)],
    *('error', 'a feature missing', 1, 'image/encoded holds 0 values'),
  ),
  'wrong type': (
    [checked_sets.record(3, object__bbox__xmin=[b'0.1'])],
    *('error', 'a feature missing', 1, 'xmin is a bytes_list, not a float_'),
  ),
  'uneven lists': (
    [checked_sets.record(3, object__area=[1.0, 2.0])],
    *('error', 'a feature missing', 1, 'area holds 2 values for 1 labels'),
  ),
  'damaged image': (
    [
      checked_sets.record(
        3, encoded=record_factory.encode(record_factory.pixels())[:900]
      )
    ],
    *('error', 'images that do not decode', 1, "record 2 (source id '3')"),
  ),
  'TIFF': (
    [checked_sets.record(3, image_format='TIFF')],
    *('error', 'images that do not decode', 1, 'record 2'),
  ),
  'stated size': (
    [checked_sets.record(3, height=[60], width=[40])],
    *(
      'error',
      'images whose size is not',
      1,
      '40 x 60 pixels are stated, 60 x',
    ),
  ),
  'class id': (
    [checked_sets.record(3, classes=[3])],
    *('error', 'class ids outside', 1, 'class id 3 is outside of 1 to 2'),
  ),
  'background': (
    [checked_sets.record(3, classes=[0])],
    *('error', 'class ids outside', 1, 'class id 0 is outside of 1 to 2'),
  ),
  'pixels': (
    [checked_sets.record(3, boxes=[[4, 12, 24, 42]])],
    *('error', 'boxes in pixels', 1, 'ymin 4, xmin 12, ymax 24, xmax 42'),
  ),
  'outside': (
    [checked_sets.record(3, boxes=[[0.1, 0.2, 1.1, 0.7]])],
    *('error', 'boxes outside', 1, 'ymax 1.1, xmax 0.7'),
  ),
  'inverted': (
    [checked_sets.record(3, boxes=[[0.6, 0.2, 0.1, 0.7]])],
    *('error', 'inverted boxes', 1, 'ymin 0.6, xmin 0.2, ymax 0.1'),
  ),
  'NaN': (
    [checked_sets.record(3, boxes=[[_NAN, 0.2, 0.6, 0.7]])],
    *('error', 'boxes that are not numbers', 1, 'ymin nan'),
  ),
  'infinite': (
    [checked_sets.record(3, boxes=[[0.1, 0.2, _INF, 0.7]])],
    *('error', 'boxes that are not numbers', 1, 'ymax inf'),
  ),
  'sticks out': (
    [checked_sets.record(3, boxes=[[0.1, 0.2, 1.0005, 0.7]])],
    *('warning', 'boxes that stick out', 1, 'ymax 1.0005'),
  ),
  'tiny': (
    [checked_sets.record(3, boxes=[[0.1, 0.2, 0.11, 0.7]])],
    *('warning', 'boxes under 2 pixels', 1, '96 x 1.3 pixels'),
  ),
  'empty': (
    [checked_sets.record(3, boxes=[], classes=[])],
    *('warning', 'images without objects', 1, "source id '3'"),
  ),
  'repeated id': (
    [checked_sets.record(2, seed=3)],
    *('warning', 'ids that several images', 2, '2 images have this id'),
  ),
  'grey': (
    [
      checked_sets.record(
        3, encoded=record_factory.encode(record_factory.pixels()[..., 0])
      )
    ],
    *('warning', 'grey or CMYK', 1, 'PNG L'),
  ),
}


@pytest.mark.parametrize('name', sorted(_BROKEN_TRAINING))
def test_broken_training_set(tmp_path, name):
  records, severity, title, count, example = _BROKEN_TRAINING[name]
  told = [
    each
    for each in checked_sets.told(checked_sets.write(tmp_path, train=records))
    # A set has tiny or hardly met boxes where that is what is broken.
    if not each[2].startswith('objects that no anchor')
  ]
  assert len(told) == 1, told
  assert told[0][:2] == (severity, 'training')
  assert told[0][2].startswith(title)
  assert told[0][3] == count
  assert example in told[0][4]


def test_cmyk_pictures(tmp_path):
  (told,) = checked_sets.told(
    checked_sets.write(
      tmp_path, train=[checked_sets.record(3, encoded=_cmyk())]
    )
  )
  assert told[0] == 'warning' and told[2].startswith('grey or CMYK')
  assert told[4].endswith('JPEG CMYK')


def _cmyk():
  content = io.BytesIO()
  image = Image.fromarray(record_factory.pixels(seed=3)).convert('CMYK')
  image.save(content, 'JPEG')
  return content.getvalue()


@pytest.mark.parametrize(
  'texts,expected',
  [
    ({'val_json_file': '{"images": ['}, 'is not JSON'),
    ({'label_map_file': 'a\n'}, 'not of the form'),
  ],
)
def test_what_cannot_be_read_is_an_error(tmp_path, texts, expected):
  with pytest.raises(errors.DataError, match=expected):
    data_check.load(checked_sets.write(tmp_path, texts=texts))


def test_files_and_workers(tmp_path):
  params = checked_sets.write(tmp_path)
  (told,) = checked_sets.told(params, num_workers=2)
  assert told[1:4] == ('training', 'fewer files than workers', 1)


def test_a_missing_file_is_an_error(tmp_path):
  params = checked_sets.write(tmp_path)
  params.override({'train': {'train_file_pattern': str(tmp_path / 'none-*')}})
  with pytest.raises(errors.DataError, match='none-'):
    data_check.load(params)
  params.override(
    {
      'train': {'train_file_pattern': ''},
      'eval': {'eval_file_pattern': ''},
    }
  )
  with pytest.raises(errors.ConfigError, match='names no data'):
    data_check.load(params)


def test_a_classifier_has_classes_of_images(tmp_path):
  params = checked_sets.write(
    tmp_path,
    train=[
      *(classification_set.record(3, 7), classification_set.record(5, -1)),
      checked_sets.record(4),
    ],
    model='classification',
  )
  told = {each[2]: each for each in checked_sets.told(params)}
  wrong = told['class ids outside of what the model has']
  assert wrong[:2] == ('error', 'training') and wrong[3] == 2
  assert 'class id 7 is outside of 0 to 2' in wrong[4]
  lacking = told['a feature missing, of the wrong type or with too few values']
  assert 'no image/class/label' in lacking[4] and lacking[3] == 1


def test_records_of_the_other_kind(tmp_path):
  path = record_factory.write_records(
    tmp_path / 'c.tfrecord', [classification_set.record(i, 1) for i in (1, 2)]
  )
  params = checked_sets.write(tmp_path)
  params.override({'train': {'train_file_pattern': path}})
  errors_found = [
    each for each in checked_sets.told(params) if each[0] == 'error'
  ]
  assert 'it holds a class for each image' in errors_found[0][4]


def test_masks(tmp_path):
  params = checked_sets.write(
    tmp_path,
    model='mask_rcnn',
    eval={'type': 'box'},
  )
  masks = [
    each for each in checked_sets.told(params) if each[2].startswith('masks')
  ]
  assert [each[3] for each in masks] == [2, 2]
  assert 'holds 0 masks for 1 objects' in masks[0][4]


def test_first_records_stop_a_training_or_warn(tmp_path):
  wrong = [
    checked_sets.record(3, classes=[9]),
    checked_sets.record(4, boxes=[[5, 5, 9, 9]]),
  ]
  params = checked_sets.write(tmp_path, train=wrong)
  with pytest.raises(errors.DataError) as caught:
    data_check.check_first_records(params, trains=True, evaluates=False)
  assert str(caught.value) == (
    'train.train_file_pattern: class ids outside of what the model has (1 of 4 '
    f"objects), such as TFRecord file '{tmp_path}/train.tfrecord', record 2 "
    "(source id '3'): class id 9 is outside of 1 to 2 (architecture."
    'num_classes is 3). architecture.num_classes is the largest id plus one; 0 '
    'is the background. And 1 more error. tools/check_dataset.py shows all; '
    '--nocheck_data trains all the same.'
  )
  assert data_check.check_first_records(params, False, True) == []
  params = checked_sets.write(
    tmp_path, train=[checked_sets.record(3, boxes=[], classes=[])]
  )
  (warning,) = data_check.check_first_records(params, True, True)
  assert warning.startswith('train.train_file_pattern: images without objects')


def test_each_check_has_a_remedy():
  titles = [each.title for each in data_check.CHECKS]
  assert len(set(titles)) == len(titles)
  for each in data_check.CHECKS:
    assert each.remedy.endswith(('.', '?')) and each.severity in (
      'error',
      'warning',
    )


def test_label_maps_are_looked_at(tmp_path):
  good = segmentation_set.write(tmp_path)
  bad = record_factory.write_records(
    tmp_path / 'bad.tfrecord',
    [
      segmentation_set.record(1),
      segmentation_set.record(2, np.full([40, 60], 7, np.uint8)),
    ],
  )
  (tmp_path / 'names.txt').write_text('1:leaf\n2:stem\n')
  for path, count in ((good, 0), (bad, 1)):
    params = golden_numbers.make_params(
      {
        'type': 'segmentation',
        'architecture': {'num_classes': 3},
        'train': {'train_file_pattern': path},
        'eval': {'label_map_file': str(tmp_path / 'names.txt')},
      }
    )
    findings = data_check.check(data_check.load(params))
    assert len(findings) == count
  assert findings[0].title == 'masks or label maps that cannot be used'
  assert 'label 7, above 2' in findings[0].example
  # A plan does not decode them all.
  assert training_set.look(params) == {}
