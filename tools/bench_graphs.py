"""Measures the training graph of every preset: how long to build, how large.

  python tools/bench_graphs.py
  python tools/bench_graphs.py --steps=1 --presets=spinenet49_retinanet

Both are paid at every start, so each preset has a bound on its nodes. With
--steps, also the time of a training step of one image, and the peak memory of
the process. Every preset has a process of its own.
"""

import json
import os
import resource
import subprocess
import sys
import time
from typing import Any, Dict

import rich.console
import rich.table
import tensorflow.compat.v1 as tf
from absl import flags

from configs import presets, resolver
from executor import estimator_factory, hardware
from modeling import model_builder
from tools import synthetic_batch
from utils import program

FLAGS = flags.FLAGS
flags.DEFINE_list('presets', [], 'Names of presets; default: all.')
flags.DEFINE_integer('steps', 0, 'Training steps to time, of one image.', 0)
flags.DEFINE_string('worker', '', 'Used by the program itself.')

# Measured, and a twentieth more.
_MOST_NODES: Dict[str, int] = {}
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
    command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
  ).stdout
  return json.loads(output.decode().splitlines()[-1])


def main(argv):
  del argv
  if FLAGS.worker:
    program.quieten_tensorflow()
    print(json.dumps(work(FLAGS.worker)))
    return
  table = rich.table.Table(
    title='Training graphs (building at most {} s)'.format(_MOST_SECONDS)
  )
  columns = ['preset', 'build s', 'nodes', 'at most']
  if FLAGS.steps:
    columns += ['step s', 'peak GB']
  for column in columns:
    table.add_column(column, justify='left' if column == 'preset' else 'right')
  for preset in presets.find_presets(FLAGS.presets):
    results = _measure(preset.path)
    row = [
      preset.name,
      '{:.1f}'.format(results['build_seconds']),
      '{:.0f}'.format(results['nodes']),
      str(_MOST_NODES.get(preset.name, '')),
    ]
    if FLAGS.steps:
      row.append('{:.1f}'.format(results['step_seconds']))
      row.append('{:.1f}'.format(results['peak_gb']))
    table.add_row(*row)
  rich.console.Console(width=100).print(table)


if __name__ == '__main__':
  program.run(main)
