"""Measures the training graph of one config, and its steps on noise.

  python tools/bench_training_step.py --config_file=FILE --steps=1

prints a line of JSON: seconds to build the graph and its nodes and, with
--steps, seconds of a step after the first and the peak memory of the process
(GB; interpreter, weights and gradients are part of it).
"""

import json
import resource
import time

import tensorflow.compat.v1 as tf
from absl import flags

from configs import resolver
from executor import estimator_factory, hardware
from modeling import model_builder
from tools import synthetic_batch
from utils import program

FLAGS = flags.FLAGS
flags.DEFINE_string('config_file', None, 'YAML or JSON file of parameters.')
flags.DEFINE_string('params_override', None, 'Parameters, as of main.py.')
flags.DEFINE_integer('batch_size', 1, 'Images of a step.', 1)
flags.DEFINE_integer('steps', 0, 'Steps to time, after a first.', 0)


def main(argv):
  del argv
  program.quieten_tensorflow()
  params = resolver.resolve(
    config_file=FLAGS.config_file,
    params_override=FLAGS.params_override,
    flags={'use_tpu': False, 'skip_host_call': True},
  ).params
  start = time.perf_counter()
  images, labels = synthetic_batch.make(params, FLAGS.batch_size)
  tf.train.get_or_create_global_step()
  spec = model_builder.ModelFn(params)(
    images, labels, tf.estimator.ModeKeys.TRAIN
  )
  results = {
    'build_seconds': time.perf_counter() - start,
    'nodes': len(tf.get_default_graph().get_operations()),
  }
  if FLAGS.steps:
    config = estimator_factory.session_config(
      params, hardware.detect(params), is_training=True
    )
    with tf.Session(config=config) as session:
      session.run(tf.global_variables_initializer())
      session.run(spec.train_op)
      start = time.perf_counter()
      for _ in range(FLAGS.steps):
        session.run(spec.train_op)
      results['step_seconds'] = (time.perf_counter() - start) / FLAGS.steps
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    results['peak_gb'] = peak / 2**20
  print(json.dumps(results))


if __name__ == '__main__':
  program.run(main)
