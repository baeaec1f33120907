"""Measures the training graph of every preset: how long to build, how large.

  python tools/bench_graphs.py
  python tools/bench_graphs.py --steps=1 --presets=spinenet49_retinanet

Both are paid at every start, so each preset has a bound on its nodes; beyond
it, or beyond 40 s, the exit code is 1. With --steps, also the time of a
training step of one image, and the peak memory of the process. Every preset has
a process of its own.
"""

import json
import os
import resource
import subprocess
import sys
import time
from typing import Any, Dict, Optional

import tensorflow.compat.v1 as tf
from absl import flags

from configs import presets, resolver
from executor import estimator_factory, hardware
from modeling import model_builder
from tools import synthetic_batch
from utils import errors, program

FLAGS = flags.FLAGS
flags.DEFINE_list('presets', [], 'Names of presets; default: all.')
flags.DEFINE_integer('steps', 0, 'Training steps to time, of one image.', 0)
flags.DEFINE_string('worker', '', 'Used by the program itself.')

# Measured, and a twentieth more.
MOST_NODES = {
  'bccd_autoaugment': 4100,
  'bccd_nasfpn': 8300,
  'bccd_resnet10': 4100,
  'small_cpu': 4800,
  'bccd_spinenet49S': 15700,
  'bccd_yardstick': 6300,
  'retinanet_autoaugment': 12800,
  'retinanet_demo': 3900,
  'retinanet_nasfpn': 18300,
  'retinanet_resnet50': 12800,
  'spinenet143_retinanet': 39400,
  'spinenet143_retinanet_2020': 39400,
  'spinenet143_selftraining': 39400,
  'spinenet190_retinanet': 50200,
  'spinenet190_selftraining': 50200,
  'spinenet49S_retinanet': 22500,
  'spinenet49_mbconv_retinanet': 20200,
  'spinenet49_retinanet': 23100,
  'spinenet49_retinanet_2020': 23100,
  'spinenet96_retinanet': 31700,
  'spinenet96_retinanet_2020': 31700,
}
_MOST_SECONDS = 40


def _params(path: str) -> Any:
  return resolver.resolve(config_file=path, flags={'use_tpu': False}).params


def work(path: str) -> Dict[str, float]:
  """Builds the training graph of a preset for one image."""
  params = _params(path)
  with tf.Graph().as_default() as graph:
    start = time.perf_counter()
    images, labels = synthetic_batch.make(params, batch_size=1)
    tf.train.get_or_create_global_step()
    spec = model_builder.ModelFn(params)(
      images, labels, tf.estimator.ModeKeys.TRAIN
    )
    results = {
      'build_seconds': time.perf_counter() - start,
      'nodes': len(graph.get_operations()),
    }
    if FLAGS.steps:
      results['step_seconds'] = _time_steps(params, spec)
      peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
      results['peak_gb'] = peak / 2**20
  return results


def _time_steps(params: Any, spec: Any) -> float:
  config = estimator_factory.session_config(
    params, hardware.detect(params), is_training=True
  )
  with tf.Session(config=config) as session:
    session.run(tf.global_variables_initializer())
    session.run(spec.train_op)
    start = time.perf_counter()
    for _ in range(FLAGS.steps):
      session.run(spec.train_op)
    return (time.perf_counter() - start) / FLAGS.steps


def _measure(path: str) -> Dict[str, float]:
  command = [
    sys.executable,
    '-W',
    'ignore',
    os.path.abspath(__file__),
    '--worker=' + path,
    '--steps={}'.format(FLAGS.steps),
  ]
  output = subprocess.run(
    command, check=True, stdout=subprocess.PIPE, universal_newlines=True
  ).stdout
  return json.loads(output.splitlines()[-1])


def main(argv):
  del argv
  if FLAGS.worker:
    program.quieten_tensorflow()
    print(json.dumps(work(FLAGS.worker)))
    return
  print(
    '{:28}{:>8}{:>8}{:>9}{:>8}{:>9}'.format(
      'training graph', 'build s', 'nodes', 'at most', 'step s', 'peak GB'
    )
  )
  too_much = []
  for preset in presets.find_presets(FLAGS.presets):
    results = _measure(preset.path)
    print(
      '{:28}{:8.1f}{:8.0f}{:9}{:>8}{:>9}'.format(
        preset.name,
        results['build_seconds'],
        results['nodes'],
        MOST_NODES[preset.name],
        _one_decimal(results.get('step_seconds')),
        _one_decimal(results.get('peak_gb')),
      ),
      flush=True,
    )
    if results['nodes'] > MOST_NODES[preset.name]:
      too_much.append('{} has too many nodes'.format(preset.name))
    if results['build_seconds'] > _MOST_SECONDS:
      too_much.append('{} takes too long to build'.format(preset.name))
  print('building takes at most {} s each'.format(_MOST_SECONDS))
  if too_much:
    raise errors.UserError('{}.'.format('; '.join(too_much)))


def _one_decimal(value: Optional[float]) -> str:
  return '-' if value is None else '{:.1f}'.format(value)


if __name__ == '__main__':
  program.run(main)
