"""What waits for the first step: the event file's graph, and collection."""

import gc

import tensorflow.compat.v1 as tf

from executor import first_step
from utils import garbage_collection


def _graphs(directory):
  tf.summary.FileWriterCache.get(str(directory)).flush()
  return [
    tf.GraphDef.FromString(event.graph_def)
    for path in directory.glob('events*')
    for event in tf.train.summary_iterator(str(path))
    if event.graph_def
  ]


def _train(directory, hook):
  """Two steps; yields before the first and after each."""
  with tf.Graph().as_default():
    step = tf.assign_add(tf.train.get_or_create_global_step(), 1)
    counter = tf.train.StepCounterHook(1, output_dir=str(directory))
    with tf.train.MonitoredSession(hooks=[counter, hook]) as session:
      yield
      for _ in range(2):
        session.run(step)
        yield


def test_graph_is_written_and_garbage_collected_from_then_on(tmp_path):
  with garbage_collection.paused():
    states = _train(tmp_path, first_step.FirstStepHook(str(tmp_path)))
    next(states)
    assert (_graphs(tmp_path), gc.isenabled()) == ([], False)
    for _ in states:
      (graph,) = _graphs(tmp_path)
      assert 'global_step' in {node.name for node in graph.node}
      assert gc.isenabled()
  # Training goes on in the same process, say after an evaluation.
  for _ in _train(tmp_path, first_step.FirstStepHook(str(tmp_path))):
    assert len(_graphs(tmp_path)) == 1


def test_a_process_that_does_not_write_collects_too():
  hook = first_step.FirstStepHook(None)
  with garbage_collection.paused(), tf.Graph().as_default():
    step = tf.assign_add(tf.train.get_or_create_global_step(), 1)
    with tf.train.MonitoredSession(hooks=[hook]) as session:
      session.run(step)
    assert gc.isenabled()
