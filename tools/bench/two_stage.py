"""Mask R-CNN: what is not convolution, training, crops, proposals and memory.

ResNet-50 FPN, 91 classes and random weights, which give 100 detections. Shares
of time are sums over the operations of one traced run; the speed of a training
step is a share of that of one large convolution, as in `network`. Memory is
compared with that of a step that takes the features of all RoIs from a variable
and so never crops.
"""

import resource
import statistics
from typing import Any, Callable, Dict, Tuple
from unittest import mock

import numpy as np
import tensorflow.compat.v1 as tf

from configs import resolver
from modeling import factory as model_factory
from modeling import model_stats, served_output
from ops import spatial_transform_ops
from tools import synthetic_batch
from tools.bench import network, training, turns
from utils import mode_keys

_ROUNDS, _TRACES, _SIZE = 7, 5, 640
_TRAIN_SIZE, _TRAIN_BATCH = 256, 2
_LEAST_SHARE = 0.55
_MOST_OTHER, _MOST_PROPOSALS, _MOST_CROPS = 0.20, 0.05, 0.08
# Of the logits of RoIs, so that 100 classes pass the threshold.
_LOGIT_DEVIATION = 2.0
_HEAVY = {
  'Conv2D',
  'Conv2DBackpropInput',
  'MatMul',
  '_FusedConv2D',
  '_FusedMatMul',
}


def _params(size: int, depth: int) -> Any:
  return resolver.resolve(
    params_override={
      'type': 'mask_rcnn',
      'architecture': {'num_classes': 91},
      'maskrcnn_parser': {'output_size': [size, size]},
      'resnet': {'resnet_depth': depth},
    },
    flags={'use_tpu': False, 'skip_host_call': True},
  ).params


def _prediction(size: int, depth: int) -> Tuple[tf.Session, Dict[str, Any]]:
  params = _params(size, depth)
  info = [[[size] * 2, [size] * 2, [1, 1], [0, 0]]]
  with tf.Graph().as_default():
    tf.set_random_seed(0)
    noise = np.random.RandomState(0).randn(1, size, size, 3)
    # A variable, or the network would be computed once for all.
    images = tf.Variable(noise.astype(np.float32), trainable=False)
    outputs = model_factory.model_generator(params).build_outputs(
      images, {'image_info': tf.constant(info, tf.float32)}, mode_keys.PREDICT
    )
    session = training.open_session(params, is_training=False)
    logits = session.run(outputs['class_outputs'])
    network.spread_scores(session, _LOGIT_DEVIATION / np.std(logits))
  names = ['detection_masks', *served_output.DETECTIONS]
  return session, {name: outputs[name] for name in names}


def _training(depth: int) -> Tuple[tf.Session, Any, float]:
  """A session, what to run in it, and the GFLOP of that."""
  params = _params(_TRAIN_SIZE, depth)
  with tf.Graph().as_default():
    batch = synthetic_batch.make(params, _TRAIN_BATCH)
    with tf.Graph().as_default():
      images = tf.zeros([_TRAIN_BATCH, _TRAIN_SIZE, _TRAIN_SIZE, 3])
      labels = tf.nest.map_structure(
        lambda label: tf.zeros(label.shape, label.dtype), batch[1]
      )
      model = model_factory.model_generator(params)
      model.build_outputs(images, labels, mode_keys.TRAIN)
      gflop = 3 * 2 * model_stats.count_multiply_adds(1) / 1e9
    spec = training.build(params, batch)
    session = training.open_session(params, is_training=True)
  return session, [spec.train_op, spec.loss], gflop


def _shares(
  session: tf.Session, fetches: Any, counts: Callable[[str, str], bool]
) -> float:
  """Median share of the operations' time that some take.

  Args:
    session: of the graph, already warm.
    fetches: what to run.
    counts: which operations, by name and type.
  """
  shares = []
  for _ in range(_TRACES):
    metadata = tf.RunMetadata()
    options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
    session.run(fetches, options=options, run_metadata=metadata)
    share = total = 0
    for device in metadata.step_stats.dev_stats:
      for node in device.node_stats:
        # As in '... = Type(inputs)'.
        kind = node.timeline_label.rpartition(' = ')[2].partition('(')[0]
        microseconds = node.op_end_rel_micros - node.op_start_rel_micros
        total += microseconds
        share += microseconds * counts(node.node_name, kind)
    shares.append(share / total)
  return statistics.median(shares)


def work(depth: int, has_crops: bool) -> turns.Figures:
  """Trains two steps; returns the peak memory of the process in GB."""

  def held(features, boxes, size, **_):
    finest = features[min(features)]
    shape = [*boxes.shape.as_list()[:2], size, size, finest.shape[-1]]
    # Features of the network have their gradients all the same.
    return tf.Variable(tf.zeros(shape), trainable=False) + tf.add_n(
      [tf.reduce_mean(x) for x in features.values()]
    )

  crop = spatial_transform_ops.multilevel_crop_and_resize
  with mock.patch.object(
    spatial_transform_ops,
    'multilevel_crop_and_resize',
    crop if has_crops else held,
  ):
    session, fetches, _ = _training(depth)
  for _ in range(2):
    session.run(fetches)
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return {'peak GB': peak / 2**20}


def measure(options: Any) -> None:
  """Prints shares of time, the speed of training and its memory."""
  depth = options.depth
  predict, detections = _prediction(options.size or _SIZE, depth)
  train, step, gflop = _training(depth)
  jobs = {
    'convolution': network.convolution(),
    'training': turns.timed(lambda: train.run(step)),
    'prediction': turns.timed(lambda: predict.run(detections)),
  }
  results = turns.measure(jobs, options.rounds or _ROUNDS, warm_up=2)
  ratio = results.ratio('convolution', 'training')
  share = ratio * gflop / network.CONVOLUTION_GFLOP
  count = int(predict.run(detections['num_detections'])[0])
  print(
    f'prediction {results.median("prediction"):.2f} s, {count} detections; '
    f'training {results.median("training"):.2f} s\n'
    f'training / convolution {share:.3f} (at least {_LEAST_SHARE})'
  )

  def is_other(name, kind):
    del name
    return kind not in _HEAVY

  for text, session, fetches, counts, most in (
    (
      'not convolution or matrix product, of prediction',
      *(predict, detections, is_other, _MOST_OTHER),
    ),
    (
      'proposals, of prediction',
      *(predict, detections, _within('proposals'), _MOST_PROPOSALS),
    ),
    ('crops, of training', train, step, _within('crops'), _MOST_CROPS),
  ):
    share = _shares(session, fetches, counts)
    print(f'{text} {share:.3f} (at most {most})', flush=True)

  memory = turns.measure(
    {
      has_crops: turns.in_own_process('two_stage', depth, has_crops)
      for has_crops in (True, False)
    },
    rounds=3,
  )
  print(
    f'memory of training {memory.median(True, "peak GB"):.2f} GB, with all '
    f'features of RoIs held {memory.median(False, "peak GB"):.2f} GB; '
    f'ratio {memory.ratio(True, False, "peak GB"):.3f} (at most 1)'
  )


def _within(scope: str) -> Callable[[str, str], bool]:
  """Operations of a name scope, and of its gradients."""
  return lambda name, _: any(
    part.rstrip('_0123456789') == scope for part in name.split('/')
  )
