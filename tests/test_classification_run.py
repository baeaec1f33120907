"""A classifier from records to what is served, and to a detector."""

import csv
import functools
import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import image_reader
from executor import runner as runner_lib
from modeling import checkpoint, factory
from modeling.training import warm_start
from serving.export import export
from serving.predictors import exported
from tests import classification_set, golden_numbers, programs, tiny_run
from tests.classification_set import NUM_IMAGES
from tests.evaluation.pages import shown_metrics
from utils import mode_keys

_SMALL = {
  'type': 'classification',
  'architecture': {'num_classes': 4},
  'resnet': {'resnet_depth': 10},
  # Of another size than the records' images, and no multiple of 32.
  'classification_parser': {'output_size': [40, 56]},
  'train': {
    'train_batch_size': 7,
    'total_steps': 4,
    'seed': 1,
    'learning_rate': {'warmup_steps': 2, 'init_learning_rate': 0.01},
  },
  'eval': {
    'eval_batch_size': 3,
    'eval_samples': None,
    'eval_timeout': 1,
    'min_eval_interval': 0,
  },
}


_params = functools.partial(tiny_run.resolved, _SMALL)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """(model_dir, records, metrics of the default evaluation)."""
  directory = tmp_path_factory.mktemp('classification')
  records = classification_set.write(directory)
  (directory / 'names.txt').write_text('1:red\n2:green\n3:blue\n')
  names = {'label_map_file': str(directory / 'names.txt')}
  params = _params(directory / 'model', records, eval=names)
  metrics = runner_lib.Runner(params).train(eval_after_training=True)
  return directory / 'model', records, metrics


@pytest.fixture(scope='module')
def by_class(trained):
  """`metrics.json` and `predictions.json` of the evaluation by class."""
  model_dir, records, _ = trained
  settings = {
    'type': 'classification',
    'label_map_file': str(model_dir.parent / 'names.txt'),
  }
  params = _params(model_dir, records, eval=settings)
  runner_lib.Runner(params, trains=False, reports=True).evaluate()
  return [
    json.loads((model_dir / 'eval' / name).read_text())
    for name in ('metrics.json', 'predictions.json')
  ]


def test_every_image_is_evaluated_once(trained, by_class):
  _, _, metrics = trained
  assert {'loss', 'model_loss'} <= set(metrics)
  assert metrics['top_5_accuracy'] == 1  # Of four classes.
  written, predictions = by_class
  assert [entry['image_id'] for entry in predictions] == list(range(100, 107))
  confusion = written['confusion']
  totals = {name: sum(row.values()) for name, row in confusion.items()}
  assert totals == {'red': 3, 'green': 2, 'blue': 2}
  correct = {name: row.get(name, 0) for name, row in confusion.items()}
  for accuracy in (written['top_1_accuracy'], metrics['top_1_accuracy']):
    assert accuracy == pytest.approx(sum(correct.values()) / NUM_IMAGES)
  by_name = pytest.approx(correct['red'] / 3)
  assert written['Accuracy ByCategory/red'] == by_name


def test_report_shows_the_evaluation(trained, by_class):
  metrics, _ = by_class
  shown = shown_metrics.read(trained[0] / 'eval' / 'report.html')
  assert set(shown) == {'top_1_accuracy', 'top_5_accuracy'}
  assert shown == {name: metrics[name] for name in shown}


@pytest.mark.slow
def test_what_is_served_is_what_was_evaluated(trained, by_class, tmp_path):
  model_dir, records, _ = trained
  export_dir = str(tmp_path / 'export')
  contract = export.export(
    export_dir,
    str(model_dir),
    input_type='image_bytes',
    export_format='saved_model,onnx,tflite',
  )
  assert contract.image_fit == 'center'
  for artefact in contract.artefacts:
    kinds = {spec.key: spec.kind for spec in artefact.outputs}
    assert kinds['class_probabilities'] == 'probabilities'
    assert kinds['classes'] == 'classes'
  decoder = image_reader.Decoder(10**6)
  images = [
    decoder.open(encoded).decode().pixels
    for encoded in classification_set.encoded_images(records)
  ]
  _, predictions = by_class
  for format_name in ('saved_model', 'onnx', 'tflite'):
    found = exported.load(export_dir, format_name).predict(images)
    for one, wanted in zip(found, predictions):
      assert one.classes.tolist() == wanted['predicted']
      np.testing.assert_allclose(one.scores, wanted['scores'], atol=1e-3)


def test_inference_writes_the_top_classes(trained, tmp_path):
  model_dir, records, _ = trained
  process = programs.run(
    'inference.py',
    f'--checkpoint_path={model_dir}',
    f'--output_csv={tmp_path}/a.csv',
    f'--output_html={tmp_path}/a.html',
    '--min_score_threshold=0',
    records,
  )
  assert process.returncode == 0, process.stderr
  rows = list(csv.DictReader((tmp_path / 'a.csv').read_text().splitlines()))
  assert len(rows) == NUM_IMAGES * 4
  assert {row['class_name'] for row in rows} == {
    'background',
    'red',
    'green',
    'blue',
  }
  assert '"green"' in (tmp_path / 'a.html').read_text()


def test_a_detector_finds_its_whole_backbone(trained):
  model_dir, _, _ = trained
  params = golden_numbers.make_params(
    {'resnet': {'resnet_depth': 10}, 'retinanet_head': {'num_convs': 0}}
  )
  with tf.Graph().as_default():
    factory.model_generator(params).build_outputs(
      tf.zeros([1, 128, 128, 3]), {}, mode_keys.TRAIN
    )
    report = warm_start.match_variables(
      checkpoint.find_latest(str(model_dir)), tf.global_variables()
    )
  backbone = {v for v in report.sizes if v.startswith('resnet10/')}
  assert len(backbone) > 30 and set(report.loaded) == backbone
