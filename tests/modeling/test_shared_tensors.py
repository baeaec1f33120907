"""Tensors that a graph has once."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling.architecture import batch_norm, shared_tensors


def test_constant_is_made_once_outside_of_a_loop():
  with tf.Graph().as_default() as graph:
    total = tf.while_loop(
      lambda total: total < 3.0,
      lambda total: total + shared_tensors.constant(1.0),
      [tf.constant(0.0)],
    )
    again = shared_tensors.constant(1.0)
    assert shared_tensors.constant(1.0) is again
    assert shared_tensors.constant(2.0) is not again
    with tf.Session() as session:
      assert session.run([total, again]) == [3.0, 1.0]
  with tf.Graph().as_default() as other:
    assert shared_tensors.constant(1.0).graph is other is not graph


@pytest.mark.parametrize('use_resource', [False, True])
def test_variables_of_a_shape_begin_as_one_tensor(use_resource):
  with tf.Graph().as_default():
    scope = tf.get_variable_scope()
    scope.set_use_resource(use_resource)
    scope.set_custom_getter(shared_tensors.initial_values)
    variables = [
      tf.get_variable(name, [3], initializer=initializer)
      for name, initializer in (
        ('a', tf.zeros_initializer()),
        ('b', tf.zeros_initializer()),
        ('c', tf.ones_initializer()),
        ('d', tf.constant_initializer(5)),
      )
    ]
    optimizer = tf.train.MomentumOptimizer(0.5, 0.5)
    step = optimizer.minimize(tf.add_n([tf.reduce_sum(v) for v in variables]))
    assert len({v.initial_value.name for v in variables}) == 3
    slots = [optimizer.get_slot(v, 'momentum') for v in variables]
    assert [v.op.name for v in slots] == [f'{c}/Momentum' for c in 'abcd']
    assert {v.initial_value.name for v in slots} == {
      variables[0].initial_value.name
    }
    with tf.Session() as session:
      session.run(tf.global_variables_initializer())
      session.run(step)
      values = session.run(variables)
  # None of them moved the tensor that all began as.
  np.testing.assert_array_equal(
    values, [[-0.5] * 3, [-0.5] * 3, [0.5] * 3, [4.5] * 3]
  )


def test_workers_share_no_initial_values():
  # A collective needs the device of what a worker tells the others.
  strategy = tf.distribute.experimental.MultiWorkerMirroredStrategy()
  assert 'collective' in strategy.extended.__class__.__module__
  with tf.Graph().as_default(), strategy.scope():
    scope = tf.get_variable_scope()
    scope.set_custom_getter(shared_tensors.initial_values)
    first, second = (
      tf.get_variable(name, [3], initializer=tf.zeros_initializer())
      for name in 'ab'
    )
    names = [v.primary.initializer.inputs[1].name for v in (first, second)]
  assert names[0] != names[1]


@pytest.mark.parametrize('momentum', [0.997, 0.99])
def test_batch_norm_is_that_of_tensorflow_with_fewer_nodes(momentum):
  values = np.random.RandomState(0).normal(3, 2, [2, 4, 4, 5])
  found, num_nodes = [], []
  norm = batch_norm.BatchNormActivation(momentum, 1e-3)
  for layer in (
    lambda images: norm(images, True, activate=False),
    lambda images: tf.layers.batch_normalization(
      images, momentum=momentum, epsilon=1e-3, training=True, fused=True
    ),
  ):
    with tf.Graph().as_default() as graph:
      outputs = layer(tf.constant(values, tf.float32))
      outputs = layer(outputs)
      updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
      with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(3):
          session.run(updates)
        found.append(session.run([outputs, *tf.global_variables()]))
      num_nodes.append(len(graph.get_operations()))
  for ours, theirs in zip(*found):
    np.testing.assert_array_equal(ours, theirs)
  assert num_nodes[0] <= num_nodes[1] - 12
