"""Times the network against one large convolution, and NMS against the network.

  python tools/bench_network.py

RetinaNet with ResNet-50 FPN and 91 classes. Speeds are shares: achieved
GFLOP/s (multiply-adds x 2, x 3 for a training step) over those of a single
3x3 convolution, 80x80x256 to 256. NMS is the ratio of detection to the network
alone; the weights are random, with class scores spread so that thousands of
candidates pass the threshold. All are measured in turn, so that they hold on a
busy machine.
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
from tools import bench_timing, synthetic_batch
from utils import mode_keys, program

FLAGS = flags.FLAGS
flags.DEFINE_integer('rounds', 11, 'Rounds of all measurements in turn.', 1)
flags.DEFINE_integer('size', 640, 'Sides of the predicted image, pixels.', 128)
flags.DEFINE_integer('depth', 50, 'Depth of the ResNet.')

_CONV_SIDE, _CONV_CHANNELS = 80, 256
_CONV_GFLOP = 2 * 9 * _CONV_SIDE**2 * _CONV_CHANNELS**2 / 1e9
# Repeated, since one takes milliseconds.
_NUM_CONVS = 8
_TRAIN_SIZE, _TRAIN_BATCH = 256, 4
_LEAST_SHARE = {'training': 0.68, 'prediction': 0.93}
_MOST_TIME = {'v1': 1.08, 'v2': 1.15, 'batched': 1.08}
_MOST_SECONDS_TO_BUILD = 6
# Of the logits, around that of the prior, 0.01.
_LOGIT_DEVIATION = 0.7

Job = Callable[[], Any]


def _params(size: int, nms_version: str = 'v1') -> Any:
  params = config_factory.config_generator('retinanet')
  params.override(
    {
      'use_tpu': False,
      'architecture': {'use_bfloat16': False, 'num_classes': 91},
      'resnet': {'resnet_depth': FLAGS.depth},
      'retinanet_parser': {'output_size': [size, size]},
      'train': {'transpose_input': False},
      'postprocess': {'nms_version': nms_version},
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
  return lambda: [session.run(outputs.op) for _ in range(_NUM_CONVS)]


def training_step() -> Job:
  """Forward pass, losses, gradients and update."""
  params = _params(_TRAIN_SIZE)
  with tf.Graph().as_default():
    images, labels = synthetic_batch.make(params, _TRAIN_BATCH)
    tf.train.get_or_create_global_step()
    spec = model_builder.ModelFn(params)(
      images, labels, tf.estimator.ModeKeys.TRAIN
    )
    session = _session(params, is_training=True)
    session.run(tf.global_variables_initializer())
  return lambda: session.run([spec.train_op, spec.loss])


def detection(version: str) -> Tuple[Job, Job, int, float]:
  """One image through the network, and through the network and NMS.

  Returns:
    Both jobs, the number of detections, the seconds to build the graph.
  """
  params = _params(FLAGS.size, version)
  info = [[[FLAGS.size] * 2, [FLAGS.size] * 2, [1, 1], [0, 0]]]
  with tf.Graph().as_default():
    tf.set_random_seed(0)
    shape = [1, FLAGS.size, FLAGS.size, 3]
    # A variable, or the network would be computed once for all.
    images = tf.Variable(
      np.random.RandomState(0).randn(*shape).astype(np.float32), trainable=False
    )
    start = time.perf_counter()
    outputs = model_factory.model_generator(params).build_outputs(
      images, {'image_info': tf.constant(info, tf.float32)}, mode_keys.PREDICT
    )
    seconds = time.perf_counter() - start
    session = _session(params, is_training=False)
    session.run(tf.global_variables_initializer())
    _spread_scores(session, outputs['cls_outputs'])
  heads = tf.nest.flatten([outputs['cls_outputs'], outputs['box_outputs']])
  keys = [key for key in outputs if key.startswith('detection_')]
  return (
    lambda: session.run([tensor.op for tensor in heads]),
    lambda: session.run([outputs[key].op for key in sorted(keys)]),
    int(session.run(outputs['num_detections'])[0]),
    seconds,
  )


def _session(params: Any, is_training: bool) -> tf.Session:
  """A session as a run makes it."""
  config = estimator_factory.session_config(
    params, hardware.detect(params), is_training
  )
  return tf.Session(config=config)


def _spread_scores(session: tf.Session, outputs: Dict[str, Any]) -> None:
  """Scales the class predictor's kernel to the wanted spread of logits."""
  (kernel,) = [
    v
    for v in tf.global_variables()
    if v.op.name.endswith('class-predict/kernel')
  ]
  deviation = np.mean(
    [np.std(logits) for logits in session.run(list(outputs.values()))]
  )
  session.run(kernel.assign(kernel * (_LOGIT_DEVIATION / deviation)))


def _gflop(size: int) -> float:
  """Of the forward pass of one image."""
  with tf.Graph().as_default():
    model = model_factory.model_generator(_params(size))
    model.build_outputs(tf.zeros([1, size, size, 3]), {}, mode_keys.TRAIN)
    return 2 * model_stats.count_multiply_adds(1) / 1e9


def main(argv):
  del argv
  program.quieten_tensorflow()
  jobs = {'convolution': convolution(), 'training': training_step()}
  gflop = {
    'convolution': _NUM_CONVS * _CONV_GFLOP,
    'training': 3 * _TRAIN_BATCH * _gflop(_TRAIN_SIZE),
    'prediction': _gflop(FLAGS.size),
  }
  found, build_seconds = {}, {}
  for version in _MOST_TIME:
    network, jobs[version], found[version], build_seconds[version] = detection(
      version
    )
    jobs.setdefault('prediction', network)
  seconds = bench_timing.in_turn(jobs, FLAGS.rounds)
  for name, work in gflop.items():
    median = statistics.median(seconds[name])
    print('{:12} {:8.1f} GFLOP/s'.format(name, work / median))
  for name, least in _LEAST_SHARE.items():
    ratio = bench_timing.median_ratio(seconds, 'convolution', name)
    share = ratio * gflop[name] / gflop['convolution']
    print('{} / convolution {:.3f} (at least {})'.format(name, share, least))
  for version, most in _MOST_TIME.items():
    print(
      'with NMS {:8s} {:.3f} of the network (at most {}); {} detections; graph '
      'built in {:.1f} s (at most {})'.format(
        version,
        bench_timing.median_ratio(seconds, version, 'prediction'),
        most,
        found[version],
        build_seconds[version],
        _MOST_SECONDS_TO_BUILD,
      )
    )


if __name__ == '__main__':
  program.run(main)
