"""Exports of every format detect what their checkpoint does."""

import concurrent.futures
import logging
import os
import re
import shutil
import types

import numpy as np
import pytest

from configs import params_dict
from serving import contract
from serving.export import check, detection_difference, export
from serving.predictors import checkpoint, runtimes
from serving.predictors import exported as exported_lib
from tests import record_factory, tiny_export
from utils import errors

_ALL = ('saved_model', 'frozen_graph', 'onnx', 'tflite')
# A frozen graph is what a SavedModel is made of.
_UNALIGNED_FORMATS = ('saved_model', 'onnx', 'tflite')
_SIZES = ((48, 64), (90, 30), (20, 33))
# Padded to 64 x 64.
_UNALIGNED = (56, 62)
_AGNOSTIC = 'postprocess.class_agnostic_nms'


@pytest.fixture(scope='module')
def exported(model, records, tmp_path_factory):
  """All formats with the defaults of the program, but for the size."""
  directory = str(tmp_path_factory.mktemp('exports') / 'all')
  export.export(
    directory,
    model.directory,
    image_size=(64, 64),
    input_type='image_bytes',
    export_format=_ALL,
    tflite_types=('float32', 'float16', 'int8'),
    onnx_types=('float32', 'int8'),
    representative_file_pattern=records,
    check=False,
  )
  return directory


@pytest.fixture(scope='module')
def unaligned(model, records, tmp_path_factory):
  """No multiple of the stride, shares of the image, two images at once.

  And of all classes one at a place.
  """
  directory = str(tmp_path_factory.mktemp('exports') / 'unaligned')
  export.export(
    directory,
    model.directory,
    image_size=_UNALIGNED,
    params_override=f'{_AGNOSTIC}=true',
    input_type='tf_example',
    batch_size=2,
    output_normalized_coordinates=True,
    output_image_info=False,
    export_format=_UNALIGNED_FORMATS,
    tflite_types=('float32', 'int8'),
    representative_file_pattern=records,
    check=False,
  )
  return directory


@pytest.fixture(scope='module')
def expected(model):
  """By size of the model's image."""
  return {
    size: checkpoint.CheckpointPredictor(
      model.checkpoint,
      params_dict.with_overrides(model.params, {_AGNOSTIC: is_agnostic}),
      size,
    ).predict(_images())
    for size, is_agnostic in (((64, 64), False), (_UNALIGNED, True))
  }


def _images():
  return [record_factory.pixels(*s, seed=i) for i, s in enumerate(_SIZES)]


def _assert_same(found, expected, atol=1e-3):
  assert len(found) == len(expected)
  for a, b in zip(found, expected):
    assert len(b.scores) > 2
    np.testing.assert_array_equal(a.classes, b.classes)
    np.testing.assert_allclose(a.boxes, b.boxes, atol=atol)
    np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)


def _agreement(found, expected, least_iou, score_tolerance=0.05):
  scales = [min(64 / h, 64 / w) for h, w in _SIZES]
  settings = types.SimpleNamespace(**tiny_export.SMALL['postprocess'])
  measured = detection_difference.compare(
    expected,
    found,
    scales,
    least_iou,
    score_tolerance,
    settings,
  )
  assert measured.num_compared > 10
  return measured


@pytest.mark.parametrize('name', _ALL)
def test_detects_what_the_checkpoint_does(exported, expected, name):
  predictor = exported_lib.load(exported, name)
  assert predictor.batch_size == 1
  assert predictor.image_size == (64, 64)
  _assert_same(predictor.predict(_images()), expected[64, 64])


@pytest.mark.slow
@pytest.mark.parametrize('name', _UNALIGNED_FORMATS)
def test_shares_of_a_padded_image(unaligned, expected, name):
  predictor = exported_lib.load(unaligned, name)
  assert predictor.batch_size == 2
  _assert_same(predictor.predict(_images()), expected[_UNALIGNED])


@pytest.mark.parametrize('name', _ALL)
def test_several_threads(exported, expected, name):
  predictor = exported_lib.load(exported, name)
  with concurrent.futures.ThreadPoolExecutor(4) as pool:
    # Neighbours run different images at the same time.
    orders = [1, -1] * 4
    results = pool.map(
      lambda step: predictor.predict(_images()[::step]), orders
    )
    for step, found in zip(orders, results):
      _assert_same(found[::step], expected[64, 64])


@pytest.mark.slow
def test_the_check_at_the_end_of_an_export(model, exported, records, caplog):
  caplog.set_level(logging.INFO)
  check.check(
    tiny_export.request_of(model, representative_file_pattern=records),
    exported,
    contract.read(exported),
  )
  (table,) = [
    r.getMessage() for r in caplog.records if 'Largest' in r.getMessage()
  ]
  # The config of the tiny model names records that are not there.
  assert '4 image(s): representative_file_pattern' in table
  rows = re.findall(
    r'^│ ([\w ]+?) +│ ok │.* (\d+\.\d)% of (\d+) .*│$', table, re.M
  )
  names = [row[0] for row in rows]
  assert names == [
    *_ALL[:3],
    'onnx int8',
    *_ALL[3:],
    'tflite float16',
    'tflite int8',
  ]
  assert all(int(row[2]) > 10 for row in rows)
  assert all(float(row[1]) > 95 for row in rows[:3])


def test_weights_of_16_bits(exported, expected):
  found = exported_lib.load(exported, 'tflite', 'float16').predict(_images())
  measured = _agreement(found, expected[64, 64], least_iou=0.9)
  assert measured.matched_share > 0.9
  assert measured.box_error < 1
  # Not the same model again.
  assert 1e-6 < measured.score_error < 0.02
  sizes = [
    os.path.getsize(os.path.join(exported, name))
    for name in ('model.tflite', 'model_float16.tflite', 'model_int8.tflite')
  ]
  # Of the smallest of networks the weights are not all.
  assert sizes[1] < 0.8 * sizes[0]
  assert sizes[2] < 0.7 * sizes[0]


@pytest.mark.parametrize(
  'export_name, size',
  [
    ('exported', (64, 64)),
    pytest.param('unaligned', _UNALIGNED, marks=pytest.mark.slow),
  ],
)
def test_integers(request, expected, export_name, size):
  directory = request.getfixturevalue(export_name)
  artefact = contract.read(directory).artefact('tflite', 'int8')
  assert 'raw_boxes' not in [spec.key for spec in artefact.outputs]
  found = exported_lib.load(directory, 'tflite', 'int8').predict(_images())
  measured = _agreement(found, expected[size], 0.5, score_tolerance=0.1)
  assert measured.matched_share > 0.6
  assert 1e-4 < measured.mean_score_error < 0.1


def test_integers_in_onnx(exported, expected, caplog, monkeypatch):
  monkeypatch.setattr(runtimes, '_has_integer_products', lambda: False)
  found = exported_lib.load(exported, 'onnx', 'int8').predict(_images())
  measured = _agreement(found, expected[64, 64], 0.7)
  assert measured.matched_share > 0.8
  assert 1e-5 < measured.mean_score_error < 0.02
  assert 'This processor has no VNNI' in caplog.text


def test_any_number_of_images(model, tmp_path, expected):
  export.export(
    str(tmp_path / 'any'),
    model.directory,
    image_size=(64, 64),
    batch_size=-1,
    input_type='image_bytes',
    export_format='onnx',
    check=False,
  )
  predictor = exported_lib.load(str(tmp_path / 'any'))
  assert predictor.batch_size is None
  _assert_same(predictor.predict(_images()), expected[64, 64])
  _assert_same(predictor.predict(_images()[:1]), expected[64, 64][:1])


def test_uint8_images_and_raw_outputs(model, tmp_path, expected):
  names = ('frozen_graph', 'onnx')
  export.export(
    str(tmp_path / 'raw'),
    model.directory,
    image_size=(64, 64),
    input_type='image_tensor',
    params_override={'postprocess': {'apply_nms': False}},
    export_format=names,
    check=False,
  )
  # One that is not resized, so that nothing is rounded.
  images = [record_factory.pixels(64, 64)]
  whole = checkpoint.CheckpointPredictor(model.checkpoint, model.params)
  for name in names:
    artefact = contract.read(str(tmp_path / 'raw')).artefact(name)
    assert artefact.inputs[0].dtype == 'uint8'
    assert not artefact.has_nms
    predictor = exported_lib.load(str(tmp_path / 'raw'), name)
    _assert_same(predictor.predict(images), whole.predict(images))
    measured = _agreement(predictor.predict(_images()), expected[64, 64], 0.8)
    assert measured.matched_share > 0.6
    assert measured.mean_score_error < 0.02


def test_what_is_no_export(tmp_path, exported):
  with pytest.raises(errors.UserError, match='export_saved_model.py'):
    exported_lib.load(str(tmp_path))
  with pytest.raises(errors.UserError, match='holds no tflite int4; it holds'):
    exported_lib.load(exported, 'tflite', 'int4')
  with pytest.raises(errors.ConfigError, match="'float16' does not say of"):
    exported_lib.load(exported, variant='float16')
  with pytest.raises(errors.ConfigError, match="format: 'tflit' is unknown"):
    exported_lib.load(exported, 'tflit')


@pytest.mark.parametrize(
  'name, file_name',
  [
    ('saved_model', 'saved_model.pb'),
    ('frozen_graph', 'frozen_graph.pb'),
    ('onnx', 'model.onnx'),
    ('tflite', 'model.tflite'),
  ],
)
def test_damaged_files(exported, tmp_path, name, file_name):
  directory = str(tmp_path / 'export')
  shutil.copytree(exported, directory)
  path = os.path.join(directory, file_name)
  size = os.path.getsize(path)
  if name != 'tflite':
    with open(path, 'wb') as target:
      target.write(b'\xff' * size)
    with pytest.raises(errors.UserError, match='may be damaged') as raised:
      exported_lib.load(directory, name)
    assert directory in str(raised.value)
  os.truncate(path, size // 2)
  with pytest.raises(errors.UserError, match='damaged') as raised:
    exported_lib.load(directory, name)
  assert directory in str(raised.value)
  if name != 'saved_model':
    os.remove(path)
    with pytest.raises(errors.UserError, match='is absent'):
      exported_lib.load(directory, name)
