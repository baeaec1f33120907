"""Time and memory of a training step."""

import contextlib
import functools
import json
import logging
import tempfile
from typing import Any, Dict, Iterator, NamedTuple, Tuple

import tensorflow.compat.v1 as tf

from configs import resolver
from executor import hardware, sole_training, step_memory, training
from modeling import factory, model_builder
from tools import synthetic_batch
from utils import mode_keys

# Side of the images that costs are found with; every stride divides it.
_SIDE = 256
_STEPS = 12


class Speed(NamedTuple):
  """Speed of a machine in training.

  Attributes:
    multiply_adds: a second, those of the forward pass.
  """

  multiply_adds: float

  def of(self, settings: Dict[str, Any], size: Tuple[int, int]) -> float:
    """Images a second; `settings` are the nested parameters of a network."""
    return self.multiply_adds / (multiply_adds(settings) * size[0] * size[1])


def multiply_adds(settings: Dict[str, Any]) -> float:
  """Multiply-adds of a network's forward pass for each pixel."""
  return _multiply_adds(json.dumps(settings, sort_keys=True))


@functools.lru_cache(maxsize=None)
def _multiply_adds(settings: str) -> float:
  params = _params(json.loads(settings))
  with tf.Graph().as_default(), _silent():
    model = factory.model_generator(params)
    images = tf.zeros([1, _SIDE, _SIDE, 3])
    model.build_outputs(images, {}, mode_keys.TRAIN)
  return model.stats['multi_add_flops_billion'] * 1e9 / _SIDE**2


def memory(settings: Dict[str, Any], size: Tuple[int, int]) -> float:
  """Bytes that a training step holds for each image."""
  params = _params(settings)
  with tf.Graph().as_default() as graph, _silent():
    tf.train.get_or_create_global_step()
    batch = synthetic_batch.make(params, 1)
    model_builder.ModelFn(params)(*batch, tf.estimator.ModeKeys.TRAIN)
    return step_memory.largest(graph) / _SIDE**2 * size[0] * size[1]


def measure(config_file: str) -> float:
  """Images a second of some real training steps of a config, here.

  Raises:
    UserError: it cannot train.
  """
  with tempfile.TemporaryDirectory() as model_dir, _silent():
    params = resolver.resolve(
      config_file=config_file,
      params_override={'train': {'total_steps': _STEPS}},
      flags={'model_dir': model_dir},
    ).params
    trainer = training.Trainer(params)
    with sole_training.alone_in(model_dir):
      trainer.train(hardware.detect(params), _STEPS)
    return trainer.time_spent.images_per_second


def _params(settings: Dict[str, Any]) -> Any:
  return resolver.resolve(
    config_file=settings,
    params_override={'retinanet_parser': {'output_size': [_SIDE, _SIDE]}},
    flags={'skip_host_call': True},
  ).params


@contextlib.contextmanager
def _silent() -> Iterator[None]:
  """What these would say of a run concerns none."""
  logger = logging.getLogger()
  level = logger.level
  logger.setLevel(logging.ERROR)
  try:
    yield
  finally:
    logger.setLevel(level)
