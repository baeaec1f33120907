"""Warm start finds what fits, reports it, and refuses too little."""

import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import checkpoint, checkpoint_files
from modeling.training import optimizers
from utils import errors


def _variable(name, shape):
  return tf.get_variable(name, shape, initializer=tf.zeros_initializer())


def _save(directory, values, step=None):
  """Writes a checkpoint of named arrays; returns its prefix."""
  with tf.Graph().as_default(), tf.Session() as session:
    variables = [
      tf.get_variable(name, initializer=np.float32(value))
      for name, value in values.items()
    ]
    session.run(tf.global_variables_initializer())
    return tf.train.Saver(variables).save(
      session, str(directory / 'model.ckpt'), global_step=step
    )


def _classifier(directory):
  return _save(
    directory,
    {
      'conv2d/kernel': np.full([3, 3, 3, 4], 1.0),
      'conv2d_1/kernel': np.full([4, 4], 2.0),
      'dense/kernel': np.full([4, 10], 3.0),
    },
  )


def _detector():
  with tf.variable_scope('resnet10'):
    backbone = [
      _variable('conv2d/kernel', [3, 3, 3, 4]),
      _variable('conv2d_1/kernel', [4, 4]),
    ]
  return backbone + [_variable('fpn/l3/kernel', [4, 4])]


def test_prefix_is_cut_and_values_arrive(tmp_path):
  path = _classifier(tmp_path)
  with tf.Graph().as_default(), tf.Session() as session:
    variables = _detector()
    report = checkpoint.warm_start(
      path, 'resnet10/', '', 0.5, variables, 'resnet10'
    )
    session.run(tf.global_variables_initializer())
    values = session.run(variables)
  assert report.loaded == {
    'resnet10/conv2d/kernel': 'conv2d/kernel',
    'resnet10/conv2d_1/kernel': 'conv2d_1/kernel',
  }
  assert [v.flat[0] for v in values] == [1.0, 2.0, 0.0]
  # The neck does not start with the prefix, so it is not looked for.
  assert report.outside_prefix == ['fpn/l3/kernel']
  assert report.share_of_parameters() == pytest.approx(124 / 140)
  rows = [line.split() for line in str(report).splitlines()]
  row = next(cells for cells in rows if 'outside' in cells)
  assert row[1:8] == ['outside', 'the', 'prefix', '│', '1', '│', '16']


def test_coverage_counts_the_backbone_outside_the_prefix(tmp_path):
  path = _save(tmp_path, {'kernel': np.ones([3, 3, 3, 4])})
  with tf.Graph().as_default():
    report = checkpoint.match_variables(path, _detector(), 'resnet10/conv2d/')
  assert list(report.loaded) == ['resnet10/conv2d/kernel']
  with pytest.raises(errors.UserError, match='1 of the 2') as info:
    checkpoint.check_coverage(report, 'resnet10', 0.75)
  assert 'wanted, for example: resnet10/conv2d_1/kernel' in str(info.value)
  checkpoint.check_coverage(report, 'resnet10', 0.5)


def test_directory_means_its_latest_checkpoint(tmp_path):
  path = _save(tmp_path, {'a': [1.0]}, step=7)
  assert checkpoint.resolve_checkpoint(str(tmp_path)) == path
  assert path.endswith('model.ckpt-7')


@pytest.mark.parametrize(
  'ending', ['', '.index', '.meta', '.data-00000-of-00001']
)
def test_a_file_of_a_checkpoint_stands_for_it(tmp_path, ending):
  path = _classifier(tmp_path)
  assert os.path.exists(path + (ending or '.index'))
  assert checkpoint.resolve_checkpoint(path + ending) == path


@pytest.mark.parametrize('make_directory', [True, False])
def test_missing_checkpoint_is_named(tmp_path, make_directory):
  path = tmp_path / 'nothing'
  if make_directory:
    path.mkdir()
  with pytest.raises(errors.UserError, match=str(path)):
    checkpoint.resolve_checkpoint(str(path))


def test_unreadable_checkpoint_is_named(tmp_path):
  path = _classifier(tmp_path)
  with open(path + '.index', 'wb') as f:
    f.write(b'garbage')
  with tf.Graph().as_default(), pytest.raises(errors.UserError, match=path):
    checkpoint.match_variables(path, _detector())


def test_wrong_prefix_fails_with_names_of_both_sides(tmp_path):
  path = _classifier(tmp_path)
  with tf.Graph().as_default():
    variables = _detector()
    with pytest.raises(errors.UserError) as info:
      checkpoint.warm_start(path, '', '', 0.5, variables, 'resnet10')
  message = str(info.value)
  assert 'resnet10/conv2d/kernel' in message
  assert 'dense/kernel' in message
  assert '0 of the 2' in message
  assert 'train.checkpoint.min_coverage' in message


@pytest.mark.parametrize('min_coverage,fails', [(0.5, False), (0.51, True)])
def test_coverage_counts_backbone_variables(tmp_path, min_coverage, fails):
  path = _save(tmp_path, {'conv2d/kernel': np.ones([3, 3, 3, 4])})
  with tf.Graph().as_default():
    report = checkpoint.match_variables(path, _detector(), 'resnet10/')
  assert report.absent == ['resnet10/conv2d_1/kernel']
  if fails:
    with pytest.raises(errors.UserError, match='1 of the 2'):
      checkpoint.check_coverage(report, 'resnet10', min_coverage)
  else:
    checkpoint.check_coverage(report, 'resnet10', min_coverage)


def test_skip_regex_matches_the_name_without_prefix(tmp_path):
  path = _classifier(tmp_path)
  with tf.Graph().as_default():
    report = checkpoint.match_variables(
      path, _detector(), 'resnet10/', r'conv2d_1'
    )
  assert report.skipped == ['resnet10/conv2d_1/kernel']
  # What was skipped on purpose does not count as missing.
  checkpoint.check_coverage(report, 'resnet10', 1.0)


def test_bad_skip_regex_is_a_config_error(tmp_path):
  path = _classifier(tmp_path)
  with tf.Graph().as_default(), pytest.raises(
    errors.ConfigError, match='skip_variables_regex'
  ):
    checkpoint.match_variables(path, _detector(), '', '(')


def test_other_class_count_loads_all_but_the_prediction(tmp_path):
  path = _save(
    tmp_path,
    {
      'resnet10/conv2d/kernel': np.ones([2, 2]),
      'retinanet/class_net/class-predict/kernel': np.ones([2, 9 * 91]),
    },
  )
  with tf.Graph().as_default():
    variables = [
      _variable('resnet10/conv2d/kernel', [2, 2]),
      _variable('retinanet/class_net/class-predict/kernel', [2, 9 * 4]),
    ]
    report = checkpoint.warm_start(path, '', '', 0.5, variables, 'resnet10')
  assert list(report.loaded) == ['resnet10/conv2d/kernel']
  text = str(report)
  assert 'another number of classes' in text
  assert '[2, 36] here, [2, 819] in the checkpoint' in text


def test_report_counts_every_kind(tmp_path):
  path = _save(tmp_path, {'a': np.ones([3]), 'b': np.ones([2])})
  with tf.Graph().as_default():
    variables = [
      _variable('a', [3]),
      _variable('b', [4]),
      _variable('c', [5]),
      _variable('d', [6]),
    ]
    report = checkpoint.match_variables(path, variables, '', 'd')
  assert (list(report.loaded), list(report.shape_differs)) == (['a'], ['b'])
  assert (report.absent, report.skipped) == (['c'], ['d'])
  assert report.share_of_parameters() == pytest.approx(3 / 18)
  assert 'Loaded 16.7% of the parameters' in str(report)


def test_resuming_another_architecture_is_refused(tmp_path):
  _save(tmp_path, {'resnet18/conv2d/kernel': np.ones([2, 2])}, step=5)
  with tf.Graph().as_default():
    same = [_variable('resnet18/conv2d/kernel', [2, 2])]
    checkpoint.check_resumable(str(tmp_path), same)
    other = [_variable('resnet50/conv2d/kernel', [2, 2])]
    with pytest.raises(errors.UserError) as info:
      checkpoint.check_resumable(str(tmp_path), other)
  assert 'another architecture' in str(info.value)
  assert 'resnet50/conv2d/kernel: absent there' in str(info.value)


def test_restoring_another_architecture_is_refused(tmp_path):
  path = _save(tmp_path, {'a': np.ones([2, 2]), 'b': np.ones([2])})
  with tf.Graph().as_default():
    same = [_variable('a', [2, 2])]
    checkpoint.check_restorable(path, same)
    other = [_variable('b', [3]), _variable('c', [1])]
    with pytest.raises(errors.UserError) as info:
      checkpoint.check_restorable(path, same + other)
  message = str(info.value)
  assert "'{}' is of another architecture: 2 of 3".format(path) in message
  assert 'b: [3] here, [2] there\n  c: absent there' in message
  with tf.Graph().as_default(), pytest.raises(
    checkpoint_files.UnreadableCheckpointError
  ):
    checkpoint.check_restorable(str(tmp_path / 'gone'), [_variable('a', [1])])


def test_fresh_model_dir_is_resumable(tmp_path):
  with tf.Graph().as_default():
    checkpoint.check_resumable(str(tmp_path), [_variable('a', [1])])
    checkpoint.check_resumable(None, [])


def test_mixed_precision_does_not_continue_a_run_without(tmp_path):
  checkpoint.check_has_loss_scale(str(tmp_path))
  with tf.Graph().as_default(), tf.Session() as session:
    optimizers.with_loss_scale(tf.train.AdamOptimizer())
    _variable('conv2d/kernel', [4])
    session.run(tf.global_variables_initializer())
    saver = tf.train.Saver()
    saver.save(session, str(tmp_path / 'model.ckpt-1'))
    checkpoint.check_has_loss_scale(str(tmp_path))
    saver = tf.train.Saver(tf.trainable_variables())
    saver.save(session, str(tmp_path / 'model.ckpt-2'))
  with pytest.raises(errors.ConfigError) as info:
    checkpoint.check_has_loss_scale(str(tmp_path))
  assert str(info.value).startswith('train.mixed_precision: true ')
  assert 'model.ckpt-2 (train.checkpoint.path)' in str(info.value)
