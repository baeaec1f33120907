"""A segmentation model from records to what is served."""

import base64
import functools
import io
import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image
from pycocotools import mask as mask_lib

from dataloader import image_reader
from executor import runner as runner_lib
from serving.export import export
from serving.http import app
from serving.predictors import checkpoint, class_map, exported
from tests import programs, record_factory, segmentation_set, tiny_run
from utils import errors

_SMALL = {
  'type': 'segmentation',
  'architecture': {'num_classes': 3, 'max_level': 5},
  'resnet': {'resnet_depth': 10},
  'fpn': {'fpn_feat_dims': 16},
  'segmentation_head': {'level': 3, 'num_convs': 1},
  'segmentation_parser': {'output_size': [64, 64], 'resize_eval': True},
  # What is rare is found within a few steps.
  'segmentation_loss': {'class_weights': [0.3, 1.0, 1.0]},
  'batch_norm_activation': {'batch_norm_momentum': 0.7},
  'train': {
    'train_batch_size': 5,
    'total_steps': 16,
    'seed': 1,
    'frozen_variable_prefix': None,
    'learning_rate': {'warmup_steps': 2, 'init_learning_rate': 0.05},
  },
  'eval': {
    'eval_batch_size': 3,
    'eval_samples': None,
    'eval_timeout': 1,
    'min_eval_interval': 0,
    'num_shown_images': 2,
  },
}


_params = functools.partial(tiny_run.resolved, _SMALL)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """(model_dir, records, metrics of the default evaluation)."""
  directory = tmp_path_factory.mktemp('segmentation')
  records = segmentation_set.write(directory)
  (directory / 'names.txt').write_text('1:leaf\n2:stem\n')
  names = {'label_map_file': str(directory / 'names.txt')}
  params = _params(directory / 'model', records, eval=names)
  metrics = runner_lib.Runner(params).train(eval_after_training=True)
  return directory / 'model', records, metrics


@pytest.fixture(scope='module')
def by_class(trained):
  """`metrics.json` and `predictions.json` of the evaluation by class."""
  model_dir, records, _ = trained
  settings = {
    'type': 'segmentation',
    'label_map_file': str(model_dir.parent / 'names.txt'),
  }
  params = _params(model_dir, records, eval=settings)
  runner_lib.Runner(params, trains=False).evaluate()
  return [
    json.loads((model_dir / 'eval' / name).read_text())
    for name in ('metrics.json', 'predictions.json')
  ]


def test_every_image_is_evaluated_once(trained, by_class):
  _, _, metrics = trained
  written, predictions = by_class
  assert [row['image_id'] for row in predictions] == list(range(100, 105))
  pixels = sum(sum(row.values()) for row in written['pixel_confusion'].values())
  # 40 x 60 is fitted as 43 x 64, 56 x 41 as 64 x 47, but for columns that do
  # not count, and the rows that truncation loses.
  assert 0.94 * (4 * 43 * 64 + 64 * 47) < pixels <= 4 * 43 * 64 + 64 * 47
  # The two ways of evaluation agree.
  assert written['miou'] == pytest.approx(metrics['miou'], rel=1e-5)
  assert written['IoU ByCategory/leaf'] == pytest.approx(
    metrics['eval/iou_class_1'], rel=1e-5
  )
  assert written['model_loss'] > 0


def test_the_worst_images_are_drawn(trained, by_class):
  _, predictions = by_class
  names = sorted(p.name for p in (trained[0] / 'eval' / 'worst').iterdir())
  worst = sorted(predictions, key=lambda row: row['miou'])
  assert [name.split('image-')[1] for name in names] == [
    f'{row["image_id"]}.jpg' for row in worst
  ]
  # The last record is higher than wide: two pictures of 47 x 64.
  (last,) = [name for name in names if '-104.' in name]
  with Image.open(trained[0] / 'eval' / 'worst' / last) as picture:
    assert picture.size == (2 * 47 + 8, 64)
    # Groundtruth of class 1 lies over its place on the left.
    pixels = np.asarray(picture, int)
  assert np.abs(pixels[12, 20] - pixels[2, 45]).sum() > 60


def test_a_page_is_refused(trained):
  model_dir, records, _ = trained
  params = _params(model_dir, records, eval={'type': 'segmentation'})
  with pytest.raises(errors.ConfigError, match="--report: .*'worst' of the"):
    runner_lib.Runner(params, trains=False, reports=True).evaluate()


def _images(records):
  decoder = image_reader.Decoder(10**6)
  return [
    decoder.open(features['image/encoded'].bytes_list.value[0]).decode().pixels
    for features in (
      tf.train.Example.FromString(record).features.feature
      for record in tf.io.tf_record_iterator(records)
    )
  ]


@pytest.fixture(scope='module')
def expected(trained):
  """Images, and what the checkpoint finds in them."""
  model_dir, records, _ = trained
  params = _params(
    model_dir,
    records,
    eval={'label_map_file': str(model_dir.parent / 'names.txt')},
  )
  images = _images(records)
  predictor = checkpoint.CheckpointPredictor(str(model_dir), params)
  found = predictor.predict(images)
  for image, one in zip(images, found):
    assert one.class_map.shape == image.shape[:2]
    assert one.class_map.dtype == np.uint8
    assert set(one.classes) == set(np.unique(one.class_map)) - {0}
    assert (np.diff(one.scores) <= 0).all()
  assert all(len(one.classes) for one in found)
  return images, found


def _check_found(export_dir, format_name, expected, most_different=0.001):
  images, wanted = expected
  found = exported.load(export_dir, format_name).predict(images)
  for one, other in zip(found, wanted):
    assert np.mean(one.class_map != other.class_map) <= most_different


@pytest.mark.parametrize(
  'batch_size', [pytest.param(2, marks=pytest.mark.slow), -1]
)
def test_a_saved_model_serves_as_clients_know_it(
  trained, expected, tmp_path, batch_size
):
  model_dir, _, _ = trained
  export_dir = str(tmp_path / 'export')
  contract = export.export(
    export_dir, str(model_dir), input_type='image_bytes', batch_size=batch_size
  )
  (artefact,) = contract.artefacts
  number = None if batch_size == -1 else batch_size
  assert [spec[:4] for spec in artefact.inputs] == [
    ('image_bytes', 'Placeholder:0', 'string', (number,)),
    ('key', 'key:0', 'string', (None,)),
    ('score_thresholds', 'Placeholder_1:0', 'float32', (None,)),
  ]
  assert [spec[:3] for spec in artefact.outputs] == [
    ('category_bytes', 'category_bytes:0', 'string'),
    ('image_info', 'image_info:0', 'float32'),
    ('key', 'key_1:0', 'string'),
    ('score_bytes', 'score_bytes:0', 'string'),
  ]
  _check_found(export_dir, 'saved_model', expected)

  # Images of two sizes at once, each with its key and threshold.
  images, wanted = expected
  pair = [images[0], images[4]]
  with tf.Graph().as_default(), tf.Session() as session:
    tf.saved_model.loader.load(session, ['serve'], export_dir)
    classes, scores, keys = session.run(
      ['category_bytes:0', 'score_bytes:0', 'key_1:0'],
      {
        'Placeholder:0': [record_factory.encode(image) for image in pair],
        'key:0': ['a', 'b'],
        'Placeholder_1:0': [0.0, 1.0],
      },
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match='shape'):
      # Neither one for all nor one for each.
      session.run(
        'key_1:0',
        {
          'Placeholder:0': [record_factory.encode(images[0])] * 2,
          'key:0': ['a', 'b', 'c'],
        },
      )
  assert keys.tolist() == [b'a', b'b']
  for png, one in zip(classes, (wanted[0], wanted[4])):
    assert np.mean(class_map.decoded(png) != one.class_map) <= 0.001
  assert class_map.decoded(scores[0]).min() >= 255 // 3
  assert class_map.decoded(scores[1]).shape == (56, 41)
  assert not class_map.decoded(scores[1]).any()


@pytest.mark.slow
def test_every_format_finds_what_the_checkpoint_does(
  trained, expected, tmp_path
):
  export_dir = str(tmp_path / 'export')
  contract = export.export(
    export_dir,
    str(trained[0]),
    input_type='image_bytes',
    export_format='saved_model,frozen_graph,onnx,tflite',
  )
  kinds = {
    artefact.format: {spec.kind for spec in artefact.outputs}
    for artefact in contract.artefacts
  }
  assert 'class_maps' in kinds['frozen_graph'] and 'logits' in kinds['onnx']
  for format_name in kinds:
    _check_found(export_dir, format_name, expected, 0.005)


def test_inference_writes_maps_of_the_original_size(
  trained, expected, tmp_path
):
  model_dir, records, _ = trained
  process = programs.run(
    'inference.py',
    f'--checkpoint_path={model_dir}',
    f'--output_json={tmp_path}/a.json',
    f'--output_html={tmp_path}/a.html',
    f'--output_dir={tmp_path}/pictures',
    f'--output_class_maps={tmp_path}/maps',
    records,
  )
  assert process.returncode == 0, process.stderr
  images, found = expected
  paths = sorted((tmp_path / 'maps').iterdir())
  assert (
    len(paths) == len(images) == len(list((tmp_path / 'pictures').iterdir()))
  )
  sizes = set()
  for path in paths:
    with Image.open(path) as png:
      assert png.mode == 'P'
      values = np.asarray(png)
    sizes.add(values.shape)
    assert any(np.array_equal(values, one.class_map) for one in found)
  assert sizes == {(40, 60), (56, 41)}
  rows = json.loads((tmp_path / 'a.json').read_text())
  assert len(rows) == sum(len(one.classes) for one in found)
  first = [row for row in rows if row['image_id'] == 100]
  for row, class_id in zip(first, found[0].classes):
    assert row['category_id'] == class_id and 'bbox' not in row
    np.testing.assert_array_equal(
      mask_lib.decode(row['segmentation']), found[0].class_map == class_id
    )
  page = (tmp_path / 'a.html').read_text()
  assert '"leaf"' in page and 'data:image/png;base64,' in page


def test_picture_json_has_the_map(expected):
  images, found = expected
  one = max(found, key=lambda each: len(each.classes))
  image = images[found.index(one)]
  answer = app.picture_json(image, one, {1: 'leaf', 2: 'stem'})
  with Image.open(io.BytesIO(base64.b64decode(answer['class_map']))) as png:
    assert png.info['transparency'] == 0
    np.testing.assert_array_equal(np.asarray(png), one.class_map)
  assert [row['class'] for row in answer['detections']] == one.classes.tolist()
  assert all(row['box'] == [] for row in answer['detections'])
  assert 'mask' not in answer['detections'][0]
  rle = app.picture_json(image, one, {}, 'rle')['detections'][0]['mask']
  np.testing.assert_array_equal(
    mask_lib.decode(rle), one.class_map == one.classes[0]
  )
  assert 'class_map' not in app.picture_json(image, one, {}, 'none')
