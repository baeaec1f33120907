"""Every NMS version against a plain loop, on generated boxes."""

import types

import hypothesis
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from hypothesis import strategies
from hypothesis.extra import numpy as hypothesis_numpy

from ops import nms, postprocess_ops

_NUM_BOXES = 14
_NUM_CLASSES = 3
_NUM_SCORES = _NUM_BOXES * _NUM_CLASSES

_settings = hypothesis.settings(
  max_examples=12, deadline=None, derandomize=True, database=None
)

_NAMES = (
  'max_total_size',
  'nms_iou_threshold',
  'score_threshold',
  'pre_nms_num_boxes',
  'class_agnostic_nms',
)
_PARAMS = [
  (5, 0.5, 0.3, 4, False),
  (20, 0.25, 0.0, 9, False),
  (45, 0.5, 0.1, 5000, False),
  (20, 0.25, 0.4, 9, True),
]


def _greedy(boxes, scores, params, version):
  """(class, box, score) of what is kept of one image, best first."""
  height = boxes[:, 2] - boxes[:, 0]
  width = boxes[:, 3] - boxes[:, 1]
  area = height * width
  classes = np.arange(1, scores.shape[1] + 1) + np.zeros(scores.shape, int)
  if params.class_agnostic_nms:
    classes = scores.argmax(axis=1)[:, np.newaxis] + 1
    scores = scores.max(axis=1, keepdims=True)
  kept_of_all = []
  for column in range(scores.shape[1]):
    candidates = [
      i
      for i in np.argsort(-scores[:, column], kind='stable')
      if height[i] > 0
      and width[i] > 0
      and scores[i, column] > np.float32(params.score_threshold)
    ]
    if version != 'batched':
      candidates = candidates[: params.pre_nms_num_boxes]
    kept = []
    for i in candidates:
      low = np.maximum(boxes[i, :2], boxes[kept, :2])
      high = np.minimum(boxes[i, 2:], boxes[kept, 2:])
      common = np.prod(np.maximum(high - low, 0), axis=-1)
      iou = common / (area[i] + area[kept] - common)
      threshold = np.float32(params.nms_iou_threshold)
      drops = iou > threshold if version == 'batched' else iou >= threshold
      if not drops.any():
        kept.append(i)
    kept_of_all += [(classes[i, column], i, scores[i, column]) for i in kept]
  kept_of_all.sort(key=lambda x: -x[2])
  return kept_of_all[: params.max_total_size]


@strategies.composite
def _images(draw):
  """Boxes on a coarse grid, some without area, and scores without ties."""
  batch_size = draw(strategies.integers(1, 3))
  points = draw(
    hypothesis_numpy.arrays(
      np.int8,
      [batch_size, _NUM_BOXES, 2, 2],
      elements=strategies.integers(0, 7),
    )
  ).astype(np.float32)
  boxes = np.concatenate([points.min(axis=2), points.max(axis=2)], axis=-1)
  scores = [
    draw(strategies.permutations(range(_NUM_SCORES))) for _ in range(batch_size)
  ]
  scores = np.reshape(scores, [batch_size, _NUM_BOXES, _NUM_CLASSES])
  return boxes, (scores / _NUM_SCORES).astype(np.float32)


@pytest.mark.parametrize('sizes', [(4096, 256), (8, 3)])
@pytest.mark.parametrize('params', _PARAMS)
@pytest.mark.parametrize('version', ['v1', 'v2', 'batched'])
def test_agrees_with_a_plain_loop(version, params, sizes, monkeypatch):
  monkeypatch.setattr(nms, '_BLOCK_SIZE', sizes[0])
  monkeypatch.setattr(nms, '_CHUNK_SIZE', sizes[1])
  params = types.SimpleNamespace(**dict(zip(_NAMES, params)))
  with tf.Graph().as_default(), tf.Session() as session:
    boxes_in = tf.placeholder(tf.float32, [None, _NUM_BOXES, 4])
    scores_in = tf.placeholder(tf.float32, [None, _NUM_BOXES, _NUM_CLASSES])
    outputs = postprocess_ops.NMS_VERSIONS.get(version)(
      boxes_in, scores_in, params
    )

    def run(boxes, scores):
      return session.run(outputs, {boxes_in: boxes, scores_in: scores})

    @_settings
    @hypothesis.given(_images())
    def check(images):
      boxes, scores = images
      got = run(boxes, scores)
      for i in range(len(boxes)):
        want = _greedy(boxes[i], scores[i], params, version)
        count = got['num_detections'][i]
        assert count == len(want)
        classes, indices, values = zip(*want) if want else ((), (), ())
        assert got['detection_classes'][i, :count].tolist() == list(classes)
        assert got['detection_scores'][i, :count].tolist() == list(values)
        kept = got['detection_boxes'][i, :count]
        np.testing.assert_array_equal(kept, boxes[i, list(indices)])
        # Nothing twice, nothing without area.
        rows = {(c,) + tuple(b) for c, b in zip(classes, kept.tolist())}
        assert len(rows) == count
        assert (kept[:, 2:] > kept[:, :2]).all()
        # The same alone as in the batch, padding included.
        alone = run(boxes[i : i + 1], scores[i : i + 1])
        for key, value in alone.items():
          np.testing.assert_array_equal(value[0], got[key][i])

    check()
