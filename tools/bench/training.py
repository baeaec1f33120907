"""Training graphs and steps: how long to build, how large, how much memory.

The memory figure compares ways to train with little memory; that of summaries
what TensorBoard costs; that of the graphs measures every preset, since both
time and nodes are paid at every start.
"""

import contextlib
import logging
import resource
import tempfile
import time
from typing import Any, Callable, Tuple

import tensorflow.compat.v1 as tf

from configs import presets, resolver
from executor import estimator_factory, hardware, progress, time_spent
from modeling import model_builder
from tools import synthetic_batch
from tools.bench import turns
from utils import errors

_SIZE, _BATCH = 256, 8
_SPINENET49 = {
  'architecture': {'backbone': 'spinenet', 'multilevel_features': 'identity'},
  'spinenet': {'model_id': '49'},
}
_NETWORKS = {'SpineNet-49': _SPINENET49, 'ResNet-50-FPN': {}}
_WAYS = {
  'plain': {},
  'recomputed': {'recompute_grad': True},
  'in 4 parts': {'gradient_accumulation_steps': 4},
  'both': {'recompute_grad': True, 'gradient_accumulation_steps': 4},
}
_MOST_SECONDS_TO_BUILD = 40
# Of the steps whose summaries are measured: short ones, which feel them most.
_SHORT_PRESET, _SHORT_BATCH, _SHORT_ROUNDS = 'bccd_resnet10', 2, 60


def work(config: Any, batch_size: int, steps: int) -> turns.Figures:
  """Builds a training graph, and trains `steps` steps after a first.

  Returns:
    Seconds to build the graph and its nodes and, if there are steps, seconds
    of each and the peak memory of the process in GB, with interpreter, weights
    and gradients.
  """
  params = resolver.resolve(
    config_file=config, flags={'use_tpu': False, 'skip_host_call': True}
  ).params
  batch = synthetic_batch.make(params, batch_size)
  start = time.perf_counter()
  spec = build(params, batch)
  figures = {
    'build s': time.perf_counter() - start,
    'nodes': len(tf.get_default_graph().get_operations()),
  }
  if steps:
    with open_session(params, is_training=True) as session:
      session.run(spec.train_op)
      start = time.perf_counter()
      for _ in range(steps):
        session.run(spec.train_op)
      figures['step s'] = (time.perf_counter() - start) / steps
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures['peak GB'] = peak / 2**20
  return figures


def build(params: Any, batch: Tuple[Any, Any]) -> Any:
  """Adds a training step to the graph; returns its estimator spec."""
  tf.train.get_or_create_global_step()
  model_fn = model_builder.ModelFn(params)
  return model_fn(*batch, tf.estimator.ModeKeys.TRAIN)


def open_session(params: Any, is_training: bool) -> tf.Session:
  """A session as a run makes it, with initial weights."""
  config = estimator_factory.session_config(
    params, hardware.detect(params), is_training
  )
  session = tf.Session(config=config)
  session.run(tf.global_variables_initializer())
  return session


def measure_memory(options: Any) -> None:
  """Prints peak memory by network and way, and its ratio to the plain way."""
  size = options.size or _SIZE
  jobs = {
    (network, way): turns.in_own_process(
      'training',
      turns.override(size, train=settings, **changes),
      _BATCH,
      1,
      # What is freed goes back to the system at once (glibc).
      MALLOC_MMAP_THRESHOLD_=str(2**20),
    )
    for network, changes in _NETWORKS.items()
    for way, settings in _WAYS.items()
  }
  results = turns.measure(jobs, options.rounds or 1)
  print(f'training step of {_BATCH} images of {size} x {size} pixels')
  turns.print_table(
    ('network', 'peak GB', 'ratio', 'step s'),
    (
      (
        '{}, {}'.format(*job),
        results.median(job, 'peak GB'),
        results.ratio(job, (job[0], 'plain'), 'peak GB'),
        results.median(job, 'step s'),
      )
      for job in jobs
    ),
  )
  print('at most, for the ratio of SpineNet-49, recomputed: 0.6')


def measure_summaries(options: Any) -> None:
  """Prints how much longer a step takes that writes its summaries."""
  # Two runs at a time have nothing sensible to say.
  logging.getLogger(progress.__name__).setLevel(logging.WARNING)
  with contextlib.ExitStack() as stack:
    jobs = {has: turns.timed(_steps(has, stack)) for has in (True, False)}
    results = turns.measure(jobs, options.rounds or _SHORT_ROUNDS, warm_up=5)
  print(
    f'training step with summaries / without {results.ratio(True, False):.3f} '
    f'(at most 1.03; {1000 * results.median(False):.0f} ms, {_SHORT_PRESET})'
  )


def _steps(
  has_summaries: bool, stack: contextlib.ExitStack
) -> Callable[[], Any]:
  """Returns what trains a step, with the hooks of a run that show something."""
  model_dir = stack.enter_context(tempfile.TemporaryDirectory())
  (preset,) = presets.find_presets([_SHORT_PRESET])
  flags = {'use_tpu': False, 'skip_host_call': not has_summaries}
  params = resolver.resolve(
    config_file=preset.path, flags={**flags, 'model_dir': model_dir}
  ).params
  shown = progress.ProgressHook(
    params.train.total_steps,
    _SHORT_BATCH,
    time_spent.TimeSpent(),
    summary_dir=model_dir if has_summaries else None,
  )
  with tf.Graph().as_default():
    spec = build(params, synthetic_batch.make(params, _SHORT_BATCH))
    hooks = [*spec.training_hooks, shown]
    session = stack.enter_context(tf.train.MonitoredSession(hooks=hooks))
  return lambda: session.run(spec.train_op)


def measure_graphs(options: Any) -> None:
  """Prints a row for each preset.

  Raises:
    errors.UserError: a graph takes too long to build.
  """
  slow = []

  def row(preset):
    job = turns.in_own_process('training', preset.path, 1, options.steps)
    figures = job()
    if figures['build s'] > _MOST_SECONDS_TO_BUILD:
      slow.append(preset.name)
    return (preset.name, *figures.values())

  header = ('training graph', 'build s', 'nodes', 'step s', 'peak GB')
  turns.print_table(
    header if options.steps else header[:3],
    map(row, presets.find_presets(options.presets)),
  )
  print(f'building takes at most {_MOST_SECONDS_TO_BUILD} s each')
  if slow:
    raise errors.UserError('Too slow to build: {}.'.format(', '.join(slow)))
