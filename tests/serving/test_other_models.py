"""A model that classifies goes through the same formats as a detector."""

import csv

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import image_reader
from modeling import model_registry, served_output
from ops import preprocess_ops
from serving.export import export
from serving.http import app
from serving.inference import (
  detection_files,
  html_page,
  pictures,
  pipeline,
  writers,
)
from serving.predictors import checkpoint, exported
from tests import record_factory, tiny_export
from utils import errors

_FORMATS = ('saved_model', 'frozen_graph', 'onnx', 'tflite')
_NAMES = {0: 'none', 1: 'cat', 2: 'dog'}


class _Classifier:
  """One dense layer on the mean colours of four quarters."""

  served_outputs = {
    'probabilities': served_output.ServedOutput(
      'Probabilities', served_output.PROBABILITIES
    )
  }
  encoded_outputs, further_inputs = {}, {}
  encoded_input = 'input'
  stride = 32
  image_fit = preprocess_ops.WHOLE

  def build_outputs(self, images, labels, mode):
    del labels, mode
    side = images.shape.as_list()[1] // 2
    quarters = tf.nn.avg_pool2d(images, side, side, 'VALID')
    quarters = tf.reshape(quarters, [-1, 12])
    return {'probabilities': tf.nn.softmax(tf.layers.dense(quarters, 3))}


@pytest.fixture()
def classifier(monkeypatch, tmp_path):
  monkeypatch.setitem(
    model_registry.MODELS._entries, 'retinanet', lambda params: _Classifier()
  )
  (tmp_path / 'model').mkdir()
  return tiny_export.make(tmp_path / 'model')


def _images():
  return [record_factory.pixels(40, 60, seed=i) for i in range(3)]


def test_every_format_gives_the_classes_of_the_checkpoint(classifier, tmp_path):
  directory = str(tmp_path / 'export')
  written = export.export(
    directory,
    classifier.directory,
    image_size=(64, 64),
    input_type='image_bytes',
    export_format=_FORMATS,
  )
  expected = checkpoint.CheckpointPredictor(
    classifier.checkpoint, classifier.params, (64, 64)
  ).predict(_images())
  assert [found.boxes for found in expected] == [None] * 3
  for artefact in written.artefacts:
    (spec,) = [s for s in artefact.outputs if s.kind != 'image_info']
    assert (spec.kind, spec.shape) == ('probabilities', (1, 3))
    predictor = exported.load(directory, artefact.format)
    for a, b in zip(predictor.predict(_images()), expected):
      assert sorted(a.classes.tolist()) == [0, 1, 2]
      np.testing.assert_array_equal(a.classes, b.classes)
      np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)
      assert a.scores.sum() == pytest.approx(1.0)


def test_classes_are_written_and_drawn_without_boxes(classifier, tmp_path):
  predictor = checkpoint.CheckpointPredictor(
    classifier.checkpoint, classifier.params, (64, 64)
  )
  (image,), (found,) = _images()[:1], predictor.predict(_images()[:1])
  result = pipeline.Result('a.png', 1, image, found, '')
  made = [
    detection_files.CsvWriter(str(tmp_path / 'a.csv'), _NAMES, 0.0),
    html_page.HtmlWriter(str(tmp_path / 'a.html'), 'page', _NAMES, 0.3, 9),
    pictures.PictureWriter(
      str(tmp_path / 'drawn'), writers.Drawing(_NAMES, 9, 0.0)
    ),
  ]
  for writer in made:
    writer.add(result)
    writer.close()
  rows = list(csv.DictReader((tmp_path / 'a.csv').read_text().splitlines()))
  assert [row['class_name'] for row in rows] == [
    _NAMES[c] for c in found.classes
  ]
  assert rows[0]['ymin'] in (None, '')
  drawn = (tmp_path / 'drawn' / 'a.jpg').read_bytes()
  drawn = image_reader.Decoder(10**6).open(drawn).decode().pixels
  assert np.abs(drawn.astype(int) - image).max() > 60
  answer = app.picture_json(image, found, _NAMES)['detections']
  assert [entry['box'] for entry in answer] == [[]] * 3
  assert answer[0]['score'] == round(float(found.scores[0]), 4)


def test_a_format_refuses_outputs_that_it_cannot_carry(
  classifier, tmp_path, monkeypatch
):
  monkeypatch.setattr(
    _Classifier,
    'served_outputs',
    {'probabilities': served_output.ServedOutput('Boxes', served_output.BOXES)},
  )
  with pytest.raises(
    errors.ConfigError, match='tflite carries raw boxes .* puts out boxes'
  ):
    export.export(
      str(tmp_path / 'export'),
      classifier.directory,
      image_size=(64, 64),
      export_format='saved_model,tflite',
    )
  assert not (tmp_path / 'export').exists()


def test_operations_that_onnx_cannot_carry_are_told(
  classifier, tmp_path, monkeypatch
):
  build = _Classifier.build_outputs

  def build_outputs(self, images, labels, mode):
    (probabilities,) = build(self, images, labels, mode).values()
    ones = tf.ones_like(probabilities)
    return {'probabilities': tf.math.betainc(ones, ones, probabilities)}

  monkeypatch.setattr(_Classifier, 'build_outputs', build_outputs)
  with pytest.raises(
    errors.UserError, match="onnx cannot carry the model 'retinanet': .*etainc"
  ):
    export.export(
      str(tmp_path / 'export'),
      classifier.directory,
      image_size=(64, 64),
      export_format='onnx',
    )
  assert not (tmp_path / 'export').exists()
