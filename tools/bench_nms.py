"""Times what detection adds to the network, and the building of its graph.

  python tools/bench_nms.py

RetinaNet with ResNet-50 FPN and 91 classes, one image. The weights are random,
with class scores spread so that thousands of candidates pass the threshold.
Times are shares of that of the network alone, measured in turn with it.
"""

import statistics
import time
from typing import Any, Dict

import numpy as np
import tensorflow.compat.v1 as tf
from absl import flags

from configs import factory as config_factory
from executor import estimator_factory, hardware
from modeling import factory as model_factory
from utils import mode_keys, program

FLAGS = flags.FLAGS
flags.DEFINE_integer('rounds', 15, 'Rounds of all measurements in turn.', 1)
flags.DEFINE_integer('size', 640, 'Sides of the image in pixels.', 128)
flags.DEFINE_integer('depth', 50, 'Depth of the ResNet.')

_VERSIONS = ('v1', 'v2', 'batched')
_NETWORK = 'network'
_MOST_TIME = {'v1': 1.08, 'v2': 1.15, 'batched': 1.08}
_MOST_SECONDS_TO_BUILD = 6
# Of the logits, around that of the prior, 0.01.
_LOGIT_DEVIATION = 0.7


def _params(version: str) -> Any:
  params = config_factory.config_generator('retinanet')
  params.override(
    {
      'use_tpu': False,
      'architecture': {'use_bfloat16': False, 'num_classes': 91},
      'resnet': {'resnet_depth': FLAGS.depth},
      'retinanet_parser': {'output_size': [FLAGS.size, FLAGS.size]},
      'postprocess': {'nms_version': version},
    }
  )
  return params


def _outputs(version: str, images: tf.Tensor) -> Dict[str, Any]:
  info = [[[FLAGS.size] * 2, [FLAGS.size] * 2, [1, 1], [0, 0]]]
  return model_factory.model_generator(_params(version)).build_outputs(
    images, {'image_info': tf.constant(info, tf.float32)}, mode_keys.PREDICT
  )


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


def measure(rounds: int) -> Dict[str, Any]:
  """Returns medians: seconds of the network, and ratios by NMS version."""
  runs, sessions, build_seconds, counts = {}, [], {}, {}
  for version in _VERSIONS:
    with tf.Graph().as_default():
      tf.set_random_seed(0)
      images = tf.constant(
        np.random.RandomState(0).randn(1, FLAGS.size, FLAGS.size, 3),
        tf.float32,
      )
      # A variable, or the network would be computed once for all.
      images = tf.Variable(images, trainable=False)
      start = time.perf_counter()
      outputs = _outputs(version, images)
      build_seconds[version] = time.perf_counter() - start
      params = _params(version)
      session = tf.Session(
        config=estimator_factory.session_config(
          params, hardware.detect(params), is_training=False
        )
      )
      sessions.append(session)
      session.run(tf.global_variables_initializer())
      _spread_scores(session, outputs['cls_outputs'])
      if _NETWORK not in runs:
        heads = [outputs['cls_outputs'], outputs['box_outputs']]
        runs[_NETWORK] = (session, [t.op for t in tf.nest.flatten(heads)])
      keys = [key for key in outputs if key.startswith('detection_')]
      runs[version] = (session, [outputs[key].op for key in sorted(keys)])
      counts[version] = int(session.run(outputs['num_detections'])[0])
  for session, fetches in runs.values():
    session.run(fetches)
  seconds = {name: [] for name in runs}
  for _ in range(rounds):
    for name, (session, fetches) in runs.items():
      start = time.perf_counter()
      session.run(fetches)
      seconds[name].append(time.perf_counter() - start)
  for session in sessions:
    session.close()
  return {
    'network_seconds': statistics.median(seconds[_NETWORK]),
    'ratios': {
      version: statistics.median(
        both / alone for both, alone in zip(seconds[version], seconds[_NETWORK])
      )
      for version in _VERSIONS
    },
    'build_seconds': build_seconds,
    'detections': counts,
  }


def main(argv):
  del argv
  program.quieten_tensorflow()
  results = measure(FLAGS.rounds)
  print(
    'network alone, {0} x {0}: {1:.3f} s'.format(
      FLAGS.size, results['network_seconds']
    )
  )
  for version in _VERSIONS:
    print(
      'with NMS {:8s} {:.3f} of it (at most {}); {} detections; graph built in '
      '{:.1f} s (at most {})'.format(
        version,
        results['ratios'][version],
        _MOST_TIME[version],
        results['detections'][version],
        results['build_seconds'][version],
        _MOST_SECONDS_TO_BUILD,
      )
    )


if __name__ == '__main__':
  program.run(main)
