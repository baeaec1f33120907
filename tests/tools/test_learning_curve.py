"""Learning curves from event files."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image
from tensorflow.compat.v2 import summary as summary_v2

from evaluation import report
from tests import programs
from tools import learning_curve
from utils import errors


def _write(directory, points, suffix=''):
  """Writes {step: {tag: value}} into one event file."""
  writer = tf.summary.FileWriter(str(directory), filename_suffix=suffix)
  for step, scalars in points.items():
    summary = tf.Summary()
    for tag, value in scalars.items():
      summary.value.add(tag=tag, simple_value=value)
    writer.add_summary(summary, step)
  writer.close()


def _training(directory, num_steps=200):
  _write(
    directory,
    {
      step: {
        'cls_loss': 2.0 / step,
        'box_loss': 1.0 / step,
        'learning_rate': 0.01,
        'global_step/sec': 3.0,
      }
      for step in range(1, num_steps + 1)
    },
  )


def test_scalars_of_both_tensorflow_versions(tmp_path):
  _write(tmp_path, {2: {'loss': 0.5}, 1: {'loss': 0.75}})
  with tf.Graph().as_default(), tf.Session() as session:
    writer = summary_v2.create_file_writer(str(tmp_path))
    with writer.as_default():
      summary_v2.scalar('learning_rate', 0.25, step=3)
      summary_v2.text('config', 'a: 1', step=3)
    session.run(writer.init())
    session.run(tf.summary.all_v2_summary_ops())
    session.run(writer.close())
  curves = learning_curve.read_scalars(str(tmp_path))
  assert set(curves) == {'loss', 'learning_rate'}
  assert curves['loss'].steps.tolist() == [1, 2]
  assert curves['loss'].values.tolist() == [0.75, 0.5]
  assert curves['learning_rate'].steps.tolist() == [3]
  assert curves['learning_rate'].values.tolist() == [0.25]


def test_weight_decay_is_no_part_of_a_classifiers_loss(tmp_path):
  training = {'model_loss': 1.0, 'l2_regularization_loss': 0.2, 'loss': 1.2}
  _write(tmp_path, dict.fromkeys((1, 2, 3), training))
  _write(tmp_path / 'eval', {3: {'top_1_accuracy': 0.5, 'model_loss': 1.0}})
  tags = learning_curve.plot_learning_curve(
    str(tmp_path), str(tmp_path / 'curve.png')
  )
  assert sorted(tags) == [
    'l2_regularization_loss',
    'model_loss',
    'top_1_accuracy',
  ]


def test_steps_that_are_repeated_after_a_resume_count_once(tmp_path):
  # Named against the order of writing.
  _write(tmp_path, {1: {'loss': 8.0}, 2: {'loss': 9.0}}, suffix='.z')
  _write(tmp_path, {2: {'loss': 4.0}, 3: {'loss': 2.0}}, suffix='.a')
  curve = learning_curve.read_scalars(str(tmp_path))['loss']
  assert curve.steps.tolist() == [1, 2, 3]
  assert curve.values.tolist() == [8, 4, 2]


def test_a_file_that_is_being_written_is_read_as_far_as_it_goes(tmp_path):
  _write(tmp_path, {1: {'loss': 8.0}, 2: {'loss': 9.0}})
  (path,) = tmp_path.iterdir()
  path.write_bytes(path.read_bytes()[:-5])
  curve = learning_curve.read_scalars(str(tmp_path))['loss']
  assert curve.values.tolist() == [8]


def test_the_picture_shows_losses_rate_and_metrics(tmp_path):
  _training(tmp_path)
  for step in (100, 200):
    report.write_metrics(
      str(tmp_path / 'eval'), {'AP': step / 1000, 'ARs': 0.1}, step
    )
  (tmp_path / 'eval_annotation_file.json').write_text('{}')
  output = str(tmp_path / 'curve.png')
  shown = learning_curve.plot_learning_curve(str(tmp_path), output)
  assert shown == ['box_loss', 'cls_loss', 'learning_rate', 'AP']
  with Image.open(output) as picture:
    pixels = np.asarray(picture.convert('RGB'), int)
  assert pixels.shape == (3 * 312, 1020, 3)
  # Each of the three panels holds a coloured line.
  colorful = np.ptp(pixels, axis=-1) > 60
  assert all(part.sum() > 100 for part in np.split(colorful, 3))
  assert not list(tmp_path.glob('*.tmp'))


def test_no_curve_runs_below_a_legend():
  steps = np.arange(5)
  curves = {
    tag: learning_curve.Curve(steps, steps + 1.0)
    for tag in ('cls_loss', 'box_loss')
  }
  drawing = learning_curve._draw([('loss', 'log', curves)])
  drawing.canvas.draw()
  (panel,) = drawing.axes
  legend = panel.get_legend()
  assert legend.get_window_extent().x0 >= panel.get_window_extent().x1
  assert [text.get_text() for text in legend.get_texts()] == [
    'cls_loss',
    'box_loss (unweighted)',
  ]


def test_metrics_of_several_evaluations_are_told_apart(tmp_path):
  _write(tmp_path, {1: {'loss': 0.5}})
  for suffix in ('', '_test'):
    report.write_metrics(str(tmp_path / ('eval' + suffix)), {'AP': 0.5}, 1)
  shown = learning_curve.plot_learning_curve(
    str(tmp_path), str(tmp_path / 'curve.svg')
  )
  assert shown == ['loss', 'eval/AP', 'eval_test/AP']
  assert (tmp_path / 'curve.svg').read_text().startswith('<?xml')


def test_a_directory_without_a_loss_is_named(tmp_path):
  with pytest.raises(errors.DataError, match='absent.*no event file'):
    learning_curve.plot_learning_curve(str(tmp_path / 'absent'), 'curve.png')
  _write(tmp_path, {1: {'AP': 0.5}})
  with pytest.raises(errors.DataError, match='no event file with a loss.*AP'):
    learning_curve.plot_learning_curve(str(tmp_path), 'curve.png')


@pytest.mark.parametrize(
  'name, reason', [('curve.xyz', 'ending'), ('file/a.png', 'Not a dir|exists')]
)
def test_a_picture_that_cannot_be_written_is_named(tmp_path, name, reason):
  _write(tmp_path, {1: {'loss': 0.5}})
  (tmp_path / 'file').write_text('')
  with pytest.raises(errors.UserError, match=f'{name}.*({reason})'):
    learning_curve.plot_learning_curve(str(tmp_path), str(tmp_path / name))


def test_the_command_draws(tmp_path):
  _training(tmp_path, 3)
  output = tmp_path / 'a.png'
  done = programs.run(
    'tools/plot_curve.py',
    f'--model_dir={tmp_path}',
    f'--output={output}',
  )
  assert done.returncode == 0, done.stderr
  assert 'a.png shows box_loss, cls_loss, learning_rate' in done.stdout
  with Image.open(str(output)) as picture:
    picture.verify()
