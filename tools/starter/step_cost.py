"""Time and memory of a training step, for each pixel of an image."""

import functools
import json
from typing import Any

import tensorflow.compat.v1 as tf

from configs import resolver
from executor import step_memory
from modeling import factory, model_builder
from tools import synthetic_batch
from utils import mode_keys

# Side of the images that costs are found with; every stride divides it.
_SIDE = 256


@functools.lru_cache(maxsize=None)
def multiply_adds(config: str) -> float:
  """Multiply-adds of the forward pass; `config` is JSON of parameters."""
  with tf.Graph().as_default():
    model = factory.model_generator(_params(config))
    images = tf.zeros([1, _SIDE, _SIDE, 3])
    model.build_outputs(images, {}, mode_keys.TRAIN)
  return model.stats['multi_add_flops_billion'] * 1e9 / _SIDE**2


@functools.lru_cache(maxsize=None)
def memory(config: str) -> float:
  """Bytes that a step holds."""
  params = _params(config)
  with tf.Graph().as_default() as graph:
    tf.train.get_or_create_global_step()
    batch = synthetic_batch.make(params, 1)
    model_builder.ModelFn(params)(*batch, tf.estimator.ModeKeys.TRAIN)
  return step_memory.largest(graph) / _SIDE**2


def _params(config: str) -> Any:
  return resolver.resolve(
    config_file=json.loads(config),
    params_override={'retinanet_parser': {'output_size': [_SIDE, _SIDE]}},
    flags={'skip_host_call': True},
  ).params
