"""Times the network against what one large convolution reaches here.

  python tools/bench_network.py

Every figure is a share: achieved GFLOP/s (multiply-adds x 2, x 3 for a
training step) over the GFLOP/s of a single 3x3 convolution, 80x80x256 to 256,
measured in turn with it, so that it holds on a busy machine.
"""

import statistics
import time
from typing import Any, Callable, Dict, Tuple

import numpy as np
import tensorflow.compat.v1 as tf
from absl import flags

from configs import factory as config_factory
from executor import estimator_factory, hardware
from modeling import factory as model_factory
from modeling import model_builder, model_stats
from tools import synthetic_batch
from utils import mode_keys, program

FLAGS = flags.FLAGS
flags.DEFINE_integer('rounds', 7, 'Rounds of all measurements in turn.', 1)

_CONV_SIDE, _CONV_CHANNELS = 80, 256
_CONV_GFLOP = 2 * 9 * _CONV_SIDE**2 * _CONV_CHANNELS**2 / 1e9
_TRAIN_SIZE, _TRAIN_BATCH = 256, 4
_PREDICT_SIZE = 640
_LEAST_SHARE = {'training': 0.68, 'prediction': 0.93}

# A name, what to run, and its GFLOP.
Job = Tuple[Callable[[], Any], float]


def _params(size: int) -> Any:
  params = config_factory.config_generator('retinanet')
  params.override(
    {
      'use_tpu': False,
      'architecture': {'use_bfloat16': False},
      'retinanet_parser': {'output_size': [size, size]},
      'train': {'transpose_input': False},
    }
  )
  return params


def convolution() -> Job:
  """The yardstick: one large convolution, with nothing around it."""
  with tf.Graph().as_default():
    shape = [1, _CONV_SIDE, _CONV_SIDE, _CONV_CHANNELS]
    kernel_shape = [3, 3, _CONV_CHANNELS, _CONV_CHANNELS]
    images = tf.Variable(np.random.rand(*shape).astype(np.float32))
    kernel = tf.Variable(np.random.rand(*kernel_shape).astype(np.float32))
    outputs = tf.nn.conv2d(images, kernel, strides=1, padding='SAME')
    session = tf.Session()
    session.run(tf.global_variables_initializer())
  return (lambda: session.run(outputs.op)), _CONV_GFLOP


def training_step() -> Job:
  """Forward pass, losses, gradients and update of a RetinaNet."""
  params = _params(_TRAIN_SIZE)
  with tf.Graph().as_default():
    images, labels = synthetic_batch.make(params, _TRAIN_BATCH)
    tf.train.get_or_create_global_step()
    spec = model_builder.ModelFn(params)(
      images, labels, tf.estimator.ModeKeys.TRAIN
    )
    gflop = 6 * _TRAIN_BATCH * _multiply_adds(_TRAIN_SIZE)
    session = _session(params, is_training=True)
    session.run(tf.global_variables_initializer())
  return (lambda: session.run([spec.train_op, spec.loss])), gflop


def prediction() -> Job:
  """The network for one image, without NMS (see bench_nms.py)."""
  params = _params(_PREDICT_SIZE)
  with tf.Graph().as_default():
    images = tf.Variable(
      np.random.randn(1, _PREDICT_SIZE, _PREDICT_SIZE, 3).astype(np.float32),
      trainable=False,
    )
    outputs = _network(params, images)
    session = _session(params, is_training=False)
    session.run(tf.global_variables_initializer())
    fetches = [t.op for t in tf.nest.flatten(outputs)]
  return (lambda: session.run(fetches)), 2 * _multiply_adds(_PREDICT_SIZE)


def _session(params: Any, is_training: bool) -> tf.Session:
  """A session as a run makes it."""
  config = estimator_factory.session_config(
    params, hardware.detect(params), is_training
  )
  return tf.Session(config=config)


def _network(params: Any, images: tf.Tensor) -> Dict[str, Any]:
  batch = images.shape.as_list()[0]
  info = tf.constant(
    [[[1, 1], images.shape.as_list()[1:3], [1, 1], [0, 0]]] * batch, tf.float32
  )
  outputs = model_factory.model_generator(params).build_outputs(
    images, {'image_info': info}, mode_keys.PREDICT
  )
  return {key: outputs[key] for key in ('cls_outputs', 'box_outputs')}


def _multiply_adds(size: int) -> float:
  """Billions of multiply-adds of the network for one image."""
  with tf.Graph().as_default():
    model = model_factory.model_generator(_params(size))
    images = tf.zeros([1, size, size, 3])
    model.build_outputs(images, {}, mode_keys.TRAIN)
    return model_stats.count_multiply_adds(1) / 1e9


def measure(rounds: int) -> Dict[str, float]:
  """Returns GFLOP/s and shares by name, medians over the rounds."""
  jobs = {
    'convolution': convolution(),
    'training': training_step(),
    'prediction': prediction(),
  }
  for run, _ in jobs.values():
    run()
  speeds = {name: [] for name in jobs}
  for _ in range(rounds):
    for name, (run, gflop) in jobs.items():
      repeats = max(1, int(60 / gflop))
      start = time.perf_counter()
      for _ in range(repeats):
        run()
      speeds[name].append(repeats * gflop / (time.perf_counter() - start))
  results = {
    'gflops_' + name: statistics.median(values)
    for name, values in speeds.items()
  }
  for name in ('training', 'prediction'):
    results['share_' + name] = statistics.median(
      speed / peak for speed, peak in zip(speeds[name], speeds['convolution'])
    )
  return results


def main(argv):
  del argv
  program.quieten_tensorflow()
  results = measure(FLAGS.rounds)
  for name, value in results.items():
    print('{:24s} {:8.3f}'.format(name, value))
  for name, least in _LEAST_SHARE.items():
    print(
      '{} / convolution {:.2f} (at least {})'.format(
        name, results['share_' + name], least
      )
    )


if __name__ == '__main__':
  program.run(main)
