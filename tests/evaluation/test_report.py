"""Metrics on the console, in metrics.json and in event files."""

import glob
import io
import json
import re

import pytest
import rich.console
import tensorflow.compat.v1 as tf
from PIL import Image

from evaluation import coco_metrics, report

_NAMES = (
  'AP',
  'AP50',
  'AP75',
  'APs',
  'APm',
  'APl',
  'ARmax1',
  'ARmax10',
  'ARmax100',
  'ARs',
  'ARm',
  'ARl',
)


def _metrics():
  metrics = {name: 0.1 + i / 100 for i, name in enumerate(_NAMES)}
  metrics['APs'] = -1
  for prefix in coco_metrics.CATEGORY_METRICS.values():
    metrics[prefix + 'red [b]cell'] = 0.625
    metrics[prefix + 'platelet'] = -1
  metrics[coco_metrics.CATEGORY_OBJECTS + 'red [b]cell'] = 1234.0
  metrics[coco_metrics.CATEGORY_OBJECTS + 'platelet'] = 0.0
  metrics['cls_loss'] = 1.25
  metrics['box_loss'] = 0.5
  return metrics


def _printed(metrics, **options):
  stream = io.StringIO()
  console = rich.console.Console(file=stream, width=110, **options)
  report.print_metrics(metrics, 600, '/models/a/model.ckpt-600', console)
  return stream.getvalue()


def _row(text, first):
  (line,) = [row for row in text.splitlines() if row.split()[:1] == [first]]
  return line.split()


def test_tables_show_metrics_classes_and_losses():
  text = _printed(_metrics())
  assert 'step 600, model.ckpt-600' in text
  assert _row(text, 'AP50') == (
    ['AP50', 'precision', '0.50', 'all', '100', '0.110']
  )
  assert _row(text, 'ARmax1')[-2:] == ['1', '0.160']
  assert _row(text, 'APs')[-1] == '-'  # COCO's -1: no small object
  assert 'red [b]cell' in text
  assert _row(text, 'red')[2:] == ['1234'] + ['0.625'] * 7
  assert _row(text, 'platelet')[1:] == ['0'] + ['-'] * 7
  assert 'cls_loss 1.25, box_loss (unweighted) 0.5' in text


def test_masks_have_a_column_of_their_own():
  metrics = dict.fromkeys(_NAMES, 0.25)
  metrics.update({'mask_' + name: 0.5 for name in _NAMES})
  text = _printed(metrics)
  assert _row(text, 'AP75')[-2:] == ['0.250', '0.500']
  assert 'Classes' not in text


def test_losses_alone_have_no_table():
  assert _printed({'cls_loss': 0.5}).strip() == 'cls_loss 0.5'


def test_without_a_terminal_nothing_is_cut_off(capsys, monkeypatch):
  monkeypatch.setenv('COLUMNS', '20')
  report.print_metrics(_metrics(), 600)
  text = capsys.readouterr().out
  assert _row(text, 'APm')[-1] == '0.140'
  assert '\x1b' not in text


def test_metrics_json_and_scalars_of_each_evaluation(tmp_path):
  directory = str(tmp_path / 'model' / 'eval')
  report.write_metrics(directory, {'AP': 0.25, 'cls_loss': 2.0}, 10, 'a-10')
  report.write_metrics(
    directory, {'AP': 0.5, 'cls_loss': float('nan')}, 20, 'a-20'
  )
  with open(directory + '/metrics.json') as source:
    assert json.load(source) == {
      'step': 20,
      'checkpoint': 'a-20',
      'AP': 0.5,
      'cls_loss': None,
    }
  history = report.read_history(directory)
  assert [
    (entry['step'], entry['checkpoint'], entry['metrics']) for entry in history
  ] == [
    (10, 'a-10', {'AP': 0.25, 'cls_loss': 2.0}),
    (20, 'a-20', {'AP': 0.5, 'cls_loss': None}),
  ]
  for entry in history:
    assert re.match(r'20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$', entry['time'])
  scalars = {}
  for path in sorted(glob.glob(directory + '/events.out.tfevents.*')):
    for event in tf.train.summary_iterator(path):
      for value in event.summary.value:
        scalars[event.step, value.tag] = value.simple_value
  assert scalars.pop((20, 'cls_loss')) != pytest.approx(2)  # not a number
  assert scalars == {(10, 'AP'): 0.25, (10, 'cls_loss'): 2.0, (20, 'AP'): 0.5}
  assert not glob.glob(directory + '/*.tmp')


def test_what_tensorboard_alone_gets(tmp_path):
  score = coco_metrics.CATEGORY_METRICS['AP'] + 'cell'
  picture = Image.new('RGB', (20, 10), 'red')
  report.write_metrics(
    str(tmp_path), {'AP': 0.5}, 10, 'a-10', {'a/1': picture}, {score: 0.25}
  )
  written = json.loads((tmp_path / 'metrics.json').read_text())
  assert set(written) == {'step', 'checkpoint', 'AP'}
  (path,) = glob.glob(str(tmp_path / 'events.out.tfevents.*'))
  values = {
    v.tag: v for e in tf.train.summary_iterator(path) for v in e.summary.value
  }
  assert values[score].simple_value == 0.25
  image = values['a/1'].image
  assert (image.width, image.height) == (20, 10)
  decoded = Image.open(io.BytesIO(image.encoded_image_string))
  assert decoded.size == (20, 10) and decoded.getpixel((5, 5))[0] > 250


@pytest.mark.parametrize('num_classes, num_scalars', [(100, 102), (101, 1)])
def test_a_thousand_classes_are_no_scalars(tmp_path, num_classes, num_scalars):
  metrics = {f'Accuracy ByCategory/{i}': 0.5 for i in range(num_classes)}
  metrics['top_1_accuracy'] = 0.5
  if num_classes == 100:
    metrics['mask_' + coco_metrics.CATEGORY_METRICS['AP'] + 'cell'] = 0.25
  report.write_metrics(str(tmp_path), metrics, 10)
  written = json.loads((tmp_path / 'metrics.json').read_text())
  assert set(metrics) <= set(written)
  (path,) = glob.glob(str(tmp_path / 'events.out.tfevents.*'))
  tags = [
    v.tag for e in tf.train.summary_iterator(path) for v in e.summary.value
  ]
  assert len(tags) == num_scalars
