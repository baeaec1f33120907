"""Numbers that the original framework computed, and the weights behind them."""

import json
import os
import zlib

import numpy as np
import tensorflow.compat.v1 as tf

from configs import factory as config_factory

DIRECTORY = os.path.join(os.path.dirname(__file__), 'golden')
RECORDS = os.path.join(DIRECTORY, 'records.tfrecord')

_NOT_WEIGHTS = ('Momentum', '/Adam', '_power', 'RMSProp', 'global_step')


def make_params(override=None):
  """A model's defaults on a CPU, with changes; RetinaNet's without `type`."""
  override = override or {}
  params = config_factory.config_generator(override.get('type', 'retinanet'))
  params.override(
    {
      'use_tpu': False,
      'architecture': {'use_bfloat16': False},
      'train': {'transpose_input': False},
    }
  )
  params.override(override)
  return params


def weight(name, shape):
  """The value of a variable: a function of its name and shape alone."""
  rng = np.random.RandomState(zlib.crc32(name.encode()) & 0xFFFFFFFF)
  x = rng.standard_normal(shape).astype(np.float32)
  leaf = name.rsplit('/', 1)[-1]
  if leaf == 'moving_variance':
    return np.abs(1 + 0.1 * x).astype(np.float32)
  if leaf == 'gamma':
    return (1 + 0.1 * x).astype(np.float32)
  if leaf not in ('beta', 'moving_mean', 'bias') and len(shape) >= 2:
    depthwise = leaf.startswith('depthwise')
    fan_in = int(np.prod(shape[:2] if depthwise else shape[:-1]))
    return (x * np.sqrt(1.0 / max(fan_in, 1))).astype(np.float32)
  return (0.1 * x).astype(np.float32)


def make_session():
  """A session that runs a network as it is: rewriting it takes seconds."""
  config = tf.ConfigProto()
  config.graph_options.rewrite_options.disable_meta_optimizer = True
  return tf.Session(config=config)


def load_weights(session):
  """Gives every variable of the default graph its `weight`."""
  session.run(tf.global_variables_initializer())
  # In one call: each call prepares the whole graph anew.
  variables = [
    variable
    for variable in tf.global_variables()
    if not any(part in variable.op.name for part in _NOT_WEIGHTS)
  ]
  fed = {
    tf.placeholder(v.dtype.base_dtype, v.shape): weight(
      v.op.name, tuple(v.shape.as_list())
    )
    for v in variables
  }
  # Variables of a shape share their initial value.
  session.run(list(map(tf.assign, variables, fed)), fed)


def flatten(tree, prefix=''):
  """{'a': {3: x}} to {'a/3': x}."""
  if not isinstance(tree, dict):
    return {prefix: tree}
  flat = {}
  for key, value in tree.items():
    flat.update(flatten(value, f'{prefix}/{key}'.lstrip('/')))
  return flat


def expected(file_name):
  """Arrays or rows of a golden file."""
  path = os.path.join(DIRECTORY, file_name)
  if path.endswith('.json'):
    with open(path) as f:
      return json.load(f)
  with np.load(path, allow_pickle=False) as arrays:
    return dict(arrays)


def relative_error(want, got):
  """Largest difference over the largest wanted value."""
  want, got = np.asarray(want, np.float64), np.asarray(got, np.float64)
  assert want.shape == got.shape, (want.shape, got.shape)
  if not want.size:
    return 0.0
  return float(np.abs(want - got).max() / max(np.abs(want).max(), 1e-6))


def check_labels(file_name, batch):
  """Compares {'images', 'labels'} of a batch with a golden file."""
  got = flatten(batch)
  for key, want in expected(file_name).items():
    key, _, sample = key.partition('@')
    if key not in got and key.startswith('labels/anchor_boxes'):
      continue  # They are constants, which training does without.
    value = got[key]
    is_class = 'cls_targets' in key or 'score_targets' in key
    background = -1 if is_class else 0
    others = np.flatnonzero(value.reshape(-1) != background)
    if sample == 'shape':
      value = np.array(value.shape)
    elif sample == 'sample':
      value = value.reshape(-1)[::97]
    elif sample == 'nz_count':
      value = np.array(len(others))
    elif sample == 'nz_index':
      value = others[:50000]
    elif sample == 'nz_value':
      value = value.reshape(-1)[others[:50000]]
    limit = 2e-3 if key == 'images' else 1e-4
    assert relative_error(want, value) <= limit, key
