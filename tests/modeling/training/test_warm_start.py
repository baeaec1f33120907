"""Warm start finds what fits, reports it, and refuses too little."""

import logging

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling.training import warm_start
from tests import checkpoint_factory
from utils import errors


def _classifier(directory):
  return checkpoint_factory.save_values(
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
      checkpoint_factory.variable('conv2d/kernel', [3, 3, 3, 4]),
      checkpoint_factory.variable('conv2d_1/kernel', [4, 4]),
    ]
  return backbone + [checkpoint_factory.variable('fpn/l3/kernel', [4, 4])]


def test_prefix_is_cut_and_values_arrive(tmp_path):
  path = _classifier(tmp_path)
  with tf.Graph().as_default(), tf.Session() as session:
    variables = _detector()
    report = warm_start.warm_start(
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
  path = checkpoint_factory.save_values(
    tmp_path, {'kernel': np.ones([3, 3, 3, 4])}
  )
  with tf.Graph().as_default():
    report = warm_start.match_variables(path, _detector(), 'resnet10/conv2d/')
  assert list(report.loaded) == ['resnet10/conv2d/kernel']
  with pytest.raises(errors.UserError, match='1 of the 2') as info:
    warm_start.check_coverage(report, 'resnet10', 0.75)
  assert 'wanted, for example: resnet10/conv2d_1/kernel' in str(info.value)
  warm_start.check_coverage(report, 'resnet10', 0.5)


def test_unreadable_checkpoint_is_named(tmp_path):
  path = _classifier(tmp_path)
  with open(path + '.index', 'wb') as f:
    f.write(b'garbage')
  with tf.Graph().as_default(), pytest.raises(errors.UserError, match=path):
    warm_start.match_variables(path, _detector())


def test_wrong_prefix_fails_with_names_of_both_sides(tmp_path):
  path = _classifier(tmp_path)
  with tf.Graph().as_default():
    variables = _detector()
    with pytest.raises(errors.UserError) as info:
      warm_start.warm_start(path, '', '', 0.5, variables, 'resnet10')
  message = str(info.value)
  assert 'resnet10/conv2d/kernel' in message
  assert 'dense/kernel' in message
  assert '0 of the 2' in message
  assert "With train.checkpoint.prefix='resnet10/' all of them" in message
  assert 'train.checkpoint.min_coverage' in message


def test_needless_prefix_fails_with_the_right_one(tmp_path):
  path = checkpoint_factory.save_values(
    tmp_path,
    {
      'resnet10/conv2d/kernel': np.ones([3, 3, 3, 4]),
      'resnet10/conv2d_1/kernel': np.ones([4, 4]),
    },
  )
  with tf.Graph().as_default():
    variables = _detector()
    with pytest.raises(
      errors.UserError, match="0 of the 2.*\n.*\n.*\nWith .*prefix='' all of"
    ):
      warm_start.warm_start(path, 'resnet10/', '', 0.5, variables, 'resnet10')
    warm_start.warm_start(path, '', '', 0.5, variables, 'resnet10')


@pytest.mark.parametrize('min_coverage,fails', [(0.5, False), (0.51, True)])
def test_coverage_counts_backbone_variables(tmp_path, min_coverage, fails):
  path = checkpoint_factory.save_values(
    tmp_path, {'conv2d/kernel': np.ones([3, 3, 3, 4])}
  )
  with tf.Graph().as_default():
    report = warm_start.match_variables(path, _detector(), 'resnet10/')
  assert report.absent == ['resnet10/conv2d_1/kernel']
  if fails:
    with pytest.raises(errors.UserError, match='1 of the 2'):
      warm_start.check_coverage(report, 'resnet10', min_coverage)
  else:
    warm_start.check_coverage(report, 'resnet10', min_coverage)


def test_skip_regex_matches_the_name_without_prefix(tmp_path):
  path = _classifier(tmp_path)
  with tf.Graph().as_default():
    report = warm_start.match_variables(
      path, _detector(), 'resnet10/', r'conv2d_1'
    )
  assert report.skipped == ['resnet10/conv2d_1/kernel']
  # What was skipped on purpose does not count as missing.
  warm_start.check_coverage(report, 'resnet10', 1.0)


def test_bad_skip_regex_is_a_config_error(tmp_path):
  path = _classifier(tmp_path)
  with tf.Graph().as_default(), pytest.raises(
    errors.ConfigError, match='skip_variables_regex'
  ):
    warm_start.match_variables(path, _detector(), '', '(')


def test_other_class_count_loads_all_but_the_prediction(tmp_path, caplog):
  caplog.set_level(logging.INFO)
  path = checkpoint_factory.save_values(
    tmp_path,
    {
      'resnet10/conv2d/kernel': np.ones([2, 2]),
      'retinanet/class_net/class-predict/kernel': np.ones([2, 9 * 91]),
    },
  )
  with tf.Graph().as_default():
    variables = [
      checkpoint_factory.variable('resnet10/conv2d/kernel', [2, 2]),
      checkpoint_factory.variable(
        'retinanet/class_net/class-predict/kernel', [2, 9 * 4]
      ),
    ]
    report = warm_start.warm_start(path, '', '', 0.5, variables, 'resnet10')
  assert list(report.loaded) == ['resnet10/conv2d/kernel']
  assert 'another number of classes' in caplog.text
  assert '[2, 36] here, [2, 819] in the checkpoint' in caplog.text


def test_report_counts_every_kind(tmp_path):
  path = checkpoint_factory.save_values(
    tmp_path, {'a': np.ones([3]), 'b': np.ones([2])}
  )
  with tf.Graph().as_default():
    variables = [
      checkpoint_factory.variable('a', [3]),
      checkpoint_factory.variable('b', [4]),
      checkpoint_factory.variable('c', [5]),
      checkpoint_factory.variable('d', [6]),
    ]
    report = warm_start.match_variables(path, variables, '', 'd')
  assert (list(report.loaded), list(report.shape_differs)) == (['a'], ['b'])
  assert (report.absent, report.skipped) == (['c'], ['d'])
  assert report.share_of_parameters() == pytest.approx(3 / 18)
  assert 'Loaded 16.7% of the parameters' in str(report)
