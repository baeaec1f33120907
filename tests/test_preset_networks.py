"""Every preset trains a step and detects, at a reduced size."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import params_dict, presets, resolver
from modeling import factory, model_builder
from tests import distinct_networks, golden_numbers
from tools import synthetic_batch
from utils import mode_keys

# They take up to half a minute each.
pytestmark = pytest.mark.slow
_SIZE = 128


@pytest.mark.parametrize('preset', presets.find_presets(), ids=lambda p: p.name)
def test_header_gives_the_size_of_the_network(preset):
  params = resolver.resolve(
    config_file=preset.path, flags={'use_tpu': False}
  ).params
  with tf.Graph().as_default():
    images, labels = synthetic_batch.make(params, batch_size=1)
    model = factory.model_generator(params)
    model.build_outputs(images, labels, mode_keys.TRAIN)
  assert model.stats['num_trainable_params_million'] == pytest.approx(
    preset.parameters, abs=0.06
  )
  assert model.stats['multi_add_flops_billion'] == pytest.approx(
    preset.multiply_adds, abs=0.06, rel=2e-3
  )


@pytest.mark.parametrize(
  'preset', distinct_networks.find(), ids=lambda p: p.name
)
def test_preset_trains_and_detects(preset):
  params = resolver.resolve(
    config_file=preset.path, flags={'use_tpu': False}
  ).params
  size_key = params.architecture.parser + '.output_size'
  params = params_dict.with_overrides(params, {size_key: [_SIZE, _SIZE]})
  with tf.Graph().as_default():
    images, labels = synthetic_batch.make(params, batch_size=1)
    step = tf.train.get_or_create_global_step()
    spec = model_builder.ModelFn(params)(
      images, labels, tf.estimator.ModeKeys.TRAIN
    )
    with golden_numbers.make_session() as session:
      session.run(tf.global_variables_initializer())
      _, loss = session.run([spec.train_op, spec.loss])
      assert np.isfinite(loss)
      assert session.run(step) == 1
      trained = session.run(tf.trainable_variables())
      assert all(np.isfinite(value).all() for value in trained)

  with tf.Graph().as_default():
    outputs = factory.model_generator(params).build_outputs(
      tf.random_normal([1, _SIZE, _SIZE, 3]),
      {'image_info': tf.constant([[[_SIZE] * 2, [_SIZE] * 2, [1, 1], [0, 0]]])},
      mode_keys.PREDICT,
    )
    with golden_numbers.make_session() as session:
      session.run(tf.global_variables_initializer())
      served = factory.model_generator(params).served_outputs
      values = session.run({k: outputs[k] for k in served if k in outputs})
  assert values and all(np.isfinite(value).all() for value in values.values())
