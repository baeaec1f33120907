"""Three training steps give the original's losses and weights."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import input_reader
from modeling import model_builder
from tests import golden_numbers, shapemask_batch
from utils import mode_keys

_STEM_AND_C2 = (
  r'(resnet\d+)\/(conv2d(|_([1-9]|10))|batch_normalization(|_([1-9]|10)))\/'
)
_COMMON = {
  'architecture': {'num_classes': 4, 'max_level': 5},
  'retinanet_head': {'num_filters': 64, 'num_convs': 2},
}
_SLOTS = ('Momentum', '/Adam', '_power')
# What is trained, and how far variables and slots, and their moves, may be off.
CASES = [
  pytest.param(
    'train_r50_swish_momentum',
    {
      'batch_norm_activation': {'activation': 'swish'},
      'retinanet_parser': {'output_size': [160, 160]},
      'train': {
        'learning_rate': {
          'init_learning_rate': 0.0001,
          'warmup_learning_rate': 2e-05,
          'warmup_steps': 4,
        },
      },
    },
    (0.01, 0.01),
    marks=pytest.mark.slow,
  ),
  pytest.param(
    'train_r18_clip_frozen',
    {
      'resnet': {'resnet_depth': 18},
      'retinanet_parser': {'output_size': [192, 256]},
      'train': {
        'gradient_clip_norm': 1.0,
        'frozen_variable_prefix': _STEM_AND_C2,
        'learning_rate': {
          'init_learning_rate': 0.01,
          'warmup_learning_rate': 0.002,
          'warmup_steps': 4,
        },
      },
    },
    (0.002, 0.002),
    marks=pytest.mark.slow,
  ),
  (
    'train_r18_adam_cosine_norm',
    {
      'resnet': {'resnet_depth': 18},
      'retinanet_parser': {'output_size': [192, 192]},
      'train': {
        'optimizer': {'type': 'adam'},
        'learning_rate': {
          'type': 'cosine',
          'init_learning_rate': 1e-05,
          'warmup_learning_rate': 5e-06,
          'warmup_steps': 2,
        },
        'total_steps': 10,
      },
      'retinanet_loss': {'normalizer_momentum': 0.9},
    },
    (0.05, 0.002),
  ),
]


def _read_batch(params):
  """All four records, with fixed targets."""
  with tf.Graph().as_default(), tf.Session() as session:
    dataset = input_reader.InputFn(
      golden_numbers.RECORDS, params, mode_keys.EVAL
    )({'batch_size': 4})
    return session.run(tf.data.make_one_shot_iterator(dataset).get_next())


def _error(got, want, floor):
  """Largest relative error; small numbers count as `floor` of the largest."""
  return np.max(np.abs(got - want) / np.maximum(want, floor * want.max()))


def _norms(values):
  return np.array([np.linalg.norm(v.astype(np.float64)) for v in values])


@pytest.mark.parametrize('name,override,tolerances', CASES)
def test_three_steps(name, override, tolerances, tmp_path):
  params = golden_numbers.make_params(_COMMON)
  params.override(override)
  params.override({'model_dir': str(tmp_path)})
  _check_three_steps(name, params, _read_batch(params), tolerances)


@pytest.mark.slow
def test_three_steps_of_classification(tmp_path):
  params = golden_numbers.make_params(
    {
      'type': 'classification',
      'model_dir': str(tmp_path),
      'batch_norm_activation': {'activation': 'swish'},
      'architecture': {'num_classes': 6},
      'resnet': {'resnet_depth': 18},
      'classification_head': {'endpoints_num_filters': 32},
      'train': {
        'label_smoothing': 0.1,
        'learning_rate': {
          'type': 'step',
          'init_learning_rate': 0.001,
          'warmup_learning_rate': 2e-05,
          'warmup_steps': 4,
        },
      },
    }
  )
  random = np.random.RandomState(52)
  images = random.standard_normal((8, 96, 96, 3)).astype(np.float32)
  labels = random.randint(0, 6, 8).astype(np.int32)
  _check_three_steps(
    'train_classification_r18', params, (images, labels), (0.002, 0.002)
  )


@pytest.mark.slow
def test_three_steps_of_shapemask(tmp_path):
  params = golden_numbers.make_params(shapemask_batch.SMALL)
  params.override(
    {
      'model_dir': str(tmp_path),
      'batch_norm_activation': {'activation': 'swish'},
      'architecture': {'max_level': 5},
      'train': {
        'learning_rate': {
          'init_learning_rate': 0.0001,
          'warmup_learning_rate': 2e-05,
          'warmup_steps': 4,
        },
      },
    }
  )
  batch = shapemask_batch.make(params, (160, 160), 4, 58)
  _check_three_steps('train_shapemask_r18', params, batch, (0.002, 0.002))


def _check_three_steps(name, params, batch, tolerances):
  want = golden_numbers.expected(name + '.npz')
  images, labels = batch
  with tf.Graph().as_default(), golden_numbers.make_session() as session:
    tf.train.get_or_create_global_step()
    spec = model_builder.ModelFn(params)(
      tf.constant(images),
      tf.nest.map_structure(tf.constant, labels),
      tf.estimator.ModeKeys.TRAIN,
    )
    golden_numbers.load_weights(session)
    variables = {v.op.name: v for v in tf.global_variables()}
    variables = [variables[variable] for variable in want['names']]
    before = session.run(variables)
    losses = [session.run([spec.loss, spec.train_op])[0] for _ in range(3)]
    after = session.run(variables)
  assert golden_numbers.relative_error(want['losses'], losses) < 1e-4
  of_values, of_moves = tolerances
  moves = _norms([new - old for new, old in zip(after, before)])
  is_slot = np.array([any(part in n for part in _SLOTS) for n in want['names']])
  for chosen in (is_slot, ~is_slot):
    norms = _norms(after)[chosen]
    assert _error(norms, want['norms'][chosen], 1e-4) < of_values
  assert (want['moved'] > 0).sum() > 50
  assert _error(moves[~is_slot], want['moved'][~is_slot], 1e-3) < of_moves
