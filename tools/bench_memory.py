"""Measures the peak memory of training steps, with and without recomputation.

  python tools/bench_memory.py

Each figure is the peak resident memory of a process of its own, which builds
the model, trains two steps, and ends: interpreter, weights and gradients are
part of it. What they free goes back to the system at once, since the C library
would otherwise keep much of it. The time is that of the second step, and the
processes run one after the other, so it says little on a busy machine.
"""

import json
import os
import resource
import subprocess
import sys
import time
from typing import Any, Dict

import tensorflow.compat.v1 as tf
from absl import flags

from configs import factory as config_factory
from executor import estimator_factory, hardware
from modeling import model_builder
from tools import synthetic_batch
from utils import program

FLAGS = flags.FLAGS
flags.DEFINE_integer('size', 256, 'Image side in pixels.', 128)
flags.DEFINE_integer('batch_size', 8, 'Images of a step.', 1)
flags.DEFINE_string('worker', '', 'Used by the program itself.')

_SPINENET49 = {
  'architecture': {'backbone': 'spinenet', 'multilevel_features': 'identity'},
  'spinenet': {'model_id': '49'},
}
NETWORKS = {'SpineNet-49': _SPINENET49, 'ResNet-50-FPN': {}}
# Of glibc; other C libraries do not know it.
_GIVE_BACK = {'MALLOC_MMAP_THRESHOLD_': str(2**20)}
# Of the network that has a bound.
_BOUNDED, _MOST = 'SpineNet-49', 0.6
_WAYS = {
  'plain': {},
  'recomputed': {'recompute_grad': True},
  'in 4 parts': {'gradient_accumulation_steps': 4},
  'both': {'recompute_grad': True, 'gradient_accumulation_steps': 4},
}


def _params(network: str, way: str) -> Any:
  params = config_factory.config_generator('retinanet')
  params.override(NETWORKS[network])
  params.override(
    {
      'use_tpu': False,
      'architecture': {'use_bfloat16': False},
      'retinanet_parser': {'output_size': [FLAGS.size, FLAGS.size]},
      'train': {'transpose_input': False, **_WAYS[way]},
    }
  )
  return params


def work(network: str, way: str) -> Dict[str, float]:
  """Trains two steps; returns peak memory (GB) and the step's seconds."""
  params = _params(network, way)
  images, labels = synthetic_batch.make(params, FLAGS.batch_size)
  tf.train.get_or_create_global_step()
  spec = model_builder.ModelFn(params)(
    images, labels, tf.estimator.ModeKeys.TRAIN
  )
  config = estimator_factory.session_config(
    params, hardware.detect(params), is_training=True
  )
  with tf.Session(config=config) as session:
    session.run(tf.global_variables_initializer())
    session.run(spec.train_op)
    start = time.perf_counter()
    session.run(spec.train_op)
    seconds = time.perf_counter() - start
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return {'peak_gb': peak / 2**20, 'step_seconds': seconds}


def _measure(network: str, way: str) -> Dict[str, float]:
  command = [
    sys.executable,
    '-W',
    'ignore',
    os.path.abspath(__file__),
    '--worker={},{}'.format(network, way),
    '--size={}'.format(FLAGS.size),
    '--batch_size={}'.format(FLAGS.batch_size),
  ]
  output = subprocess.run(
    command,
    check=True,
    stdout=subprocess.PIPE,
    universal_newlines=True,
    env=dict(os.environ, **_GIVE_BACK),
  ).stdout
  return json.loads(output.splitlines()[-1])


def main(argv):
  del argv
  if FLAGS.worker:
    program.quieten_tensorflow()
    print(json.dumps(work(*FLAGS.worker.split(','))))
    return
  print(
    'training step of {} images of {} x {} pixels'.format(
      FLAGS.batch_size, FLAGS.size, FLAGS.size
    )
  )
  print('{:>37}{:>8}{:>8}'.format('peak GB', 'ratio', 'step s'))
  for network in NETWORKS:
    plain = None
    for way in _WAYS:
      results = _measure(network, way)
      plain = plain or results['peak_gb']
      ratio = results['peak_gb'] / plain
      bound = ''
      if (network, way) == (_BOUNDED, 'recomputed'):
        bound = '  (at most {})'.format(_MOST)
      print(
        '{:16}{:12}{:9.2f}{:8.2f}{:8.1f}{}'.format(
          network,
          way,
          results['peak_gb'],
          ratio,
          results['step_seconds'],
          bound,
        ),
        flush=True,
      )


if __name__ == '__main__':
  program.run(main)
