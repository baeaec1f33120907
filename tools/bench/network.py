"""The network against one large convolution, and NMS against the network.

ResNet-50 FPN and 91 classes. Speeds are shares: achieved GFLOP/s (multiply-adds
x 2, x 3 for a training step) over those of a single 3x3 convolution, 80x80x256
to 256. NMS is the ratio of detection to the network alone; the weights are
random, with class scores spread so that thousands of candidates pass the
threshold.
"""

import time
from typing import Any, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from configs import resolver
from modeling import factory as model_factory
from modeling import model_stats
from tools import synthetic_batch
from tools.bench import training, turns
from utils import mode_keys

_ROUNDS, _SIZE = 11, 640
_CONV_SIDE, _CONV_CHANNELS = 80, 256
# Repeated, since one takes milliseconds.
_NUM_CONVS = 8
CONVOLUTION_GFLOP = _NUM_CONVS * 2 * 9 * _CONV_SIDE**2 * _CONV_CHANNELS**2 / 1e9
_TRAIN_SIZE, _TRAIN_BATCH = 256, 4
_LEAST_SHARE = {'training': 0.68, 'prediction': 0.93}
_MOST_TIME = {'v1': 1.08, 'v2': 1.15, 'batched': 1.08}
# Of the logits, around that of the prior, 0.01.
_LOGIT_DEVIATION = 0.7


def _params(size: int, depth: int, nms_version: str = 'v1') -> Any:
  return resolver.resolve(
    params_override=turns.override(
      size,
      depth,
      architecture={'num_classes': 91},
      postprocess={'nms_version': nms_version},
    ),
    flags={'use_tpu': False, 'skip_host_call': True},
  ).params


def convolution() -> turns.Job:
  """The yardstick: one large convolution, with nothing around it."""
  with tf.Graph().as_default():
    shape = [1, _CONV_SIDE, _CONV_SIDE, _CONV_CHANNELS]
    kernel_shape = [3, 3, _CONV_CHANNELS, _CONV_CHANNELS]
    images = tf.Variable(np.random.rand(*shape).astype(np.float32))
    kernel = tf.Variable(np.random.rand(*kernel_shape).astype(np.float32))
    outputs = tf.nn.conv2d(images, kernel, strides=1, padding='SAME')
    session = tf.Session()
    session.run(tf.global_variables_initializer())
  return turns.timed(
    lambda: [session.run(outputs.op) for _ in range(_NUM_CONVS)]
  )


def _training_step(depth: int) -> turns.Job:
  """Forward pass, losses, gradients and update."""
  params = _params(_TRAIN_SIZE, depth)
  with tf.Graph().as_default():
    batch = synthetic_batch.make(params, _TRAIN_BATCH)
    spec = training.build(params, batch)
    session = training.open_session(params, is_training=True)
  return turns.timed(lambda: session.run([spec.train_op, spec.loss]))


def _detection(
  size: int, depth: int, version: str
) -> Tuple[turns.Job, turns.Job, str]:
  """One image through the network, and through the network and NMS.

  Returns:
    Both jobs, and what else is to be said of the graph.
  """
  params = _params(size, depth, version)
  info = [[[size] * 2, [size] * 2, [1, 1], [0, 0]]]
  with tf.Graph().as_default():
    tf.set_random_seed(0)
    noise = np.random.RandomState(0).randn(1, size, size, 3)
    # A variable, or the network would be computed once for all.
    images = tf.Variable(noise.astype(np.float32), trainable=False)
    start = time.perf_counter()
    outputs = model_factory.model_generator(params).build_outputs(
      images, {'image_info': tf.constant(info, tf.float32)}, mode_keys.PREDICT
    )
    seconds = time.perf_counter() - start
    session = training.open_session(params, is_training=False)
    logits = session.run(list(outputs['cls_outputs'].values()))
    deviation = np.mean([np.std(values) for values in logits])
    spread_scores(session, _LOGIT_DEVIATION / deviation)
  heads = tf.nest.flatten([outputs['cls_outputs'], outputs['box_outputs']])
  detections = [
    outputs[k] for k in sorted(outputs) if k.startswith('detection')
  ]
  jobs = [
    turns.timed(lambda ops=[t.op for t in tensors]: session.run(ops))
    for tensors in (heads, detections)
  ]
  note = '{} detections; graph built in {:.1f} s (at most 6)'.format(
    int(session.run(outputs['num_detections'])[0]), seconds
  )
  return (*jobs, note)


def spread_scores(session: tf.Session, factor: float) -> None:
  """Scales the kernel that predicts classes, so that NMS has work to do."""
  (kernel,) = [
    v
    for v in tf.global_variables()
    if v.op.name.endswith('class-predict/kernel')
  ]
  session.run(kernel.assign(kernel * factor))


def _gflop(size: int, depth: int) -> float:
  """Of the forward pass of one image."""
  with tf.Graph().as_default():
    model = model_factory.model_generator(_params(size, depth))
    model.build_outputs(tf.zeros([1, size, size, 3]), {}, mode_keys.TRAIN)
    return 2 * model_stats.count_multiply_adds(1) / 1e9


def measure(options: Any) -> None:
  """Prints speeds, their shares, and what NMS adds."""
  size, depth = options.size or _SIZE, options.depth
  jobs = {'convolution': convolution(), 'training': _training_step(depth)}
  gflop = {
    'convolution': CONVOLUTION_GFLOP,
    'training': 3 * _TRAIN_BATCH * _gflop(_TRAIN_SIZE, depth),
    'prediction': _gflop(size, depth),
  }
  notes = {}
  for version in _MOST_TIME:
    network, jobs[version], notes[version] = _detection(size, depth, version)
    jobs.setdefault('prediction', network)
  results = turns.measure(jobs, options.rounds or _ROUNDS, warm_up=1)
  for name, work in gflop.items():
    print(f'{name:12} {work / results.median(name):8.1f} GFLOP/s')
  for name, least in _LEAST_SHARE.items():
    ratio = results.ratio('convolution', name)
    share = ratio * gflop[name] / gflop['convolution']
    print(f'{name} / convolution {share:.3f} (at least {least})')
  for version, most in _MOST_TIME.items():
    ratio = results.ratio(version, 'prediction')
    print(
      f'with NMS {version:8s} {ratio:.3f} of the network (at most {most}); '
      f'{notes[version]}'
    )
