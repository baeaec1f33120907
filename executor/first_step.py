"""Hook of what waits until a first step is done."""

import gc
from typing import Optional

import tensorflow.compat.v1 as tf


class FirstStepHook(tf.train.SessionRunHook):
  """Then writes the graph for TensorBoard, and lets garbage be collected.

  TensorFlow writes it when it opens the event file, and nobody looks at a graph
  before there are losses, too.

  Args:
    model_dir: the run's directory. Its event file, if this process has it open
      already, holds a graph. None: another process writes it.
  """

  def __init__(self, model_dir: Optional[str]):
    self._is_first = True
    self._writer: Optional[tf.summary.FileWriter] = None
    opened = tf.summary.FileWriterCache._cache
    if model_dir and model_dir not in opened:
      # Everyone who asks for a writer gets this one.
      self._writer = opened[model_dir] = tf.summary.FileWriter(model_dir)

  def after_run(self, run_context, run_values):
    if self._is_first:
      self._is_first = False
      gc.enable()
      if self._writer:
        self._writer.add_graph(run_context.session.graph)
