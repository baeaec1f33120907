"""Non-maximum suppression in ONNX operators, after raw boxes and scores.

TensorFlow's loops do not convert, but ONNX has an operator for the greedy rule
within each class. Around it stands what `ops.nms` does besides: boxes without
area are no candidates, only the best candidates of a class count, and of all
classes' boxes the best are returned, ties going to the lower class and then to
the lower index.
"""

from typing import Any, List, Optional

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ops import postprocess_ops

# Below every score.
_NOTHING = np.float32(np.finfo(np.float32).min)
# Of free slots, in the versions v1 and v2.
_PADDING_SCORE = -1.0


class _Builder:
  """Adds nodes to a graph; each method returns the name of its output."""

  def __init__(self, graph: Any, nodes: Optional[List[Any]] = None):
    self._graph = graph
    self.nodes = graph.node if nodes is None else nodes

  def constant(self, value: Any, dtype: Any = np.int64) -> str:
    name = f'nms/constant_{len(self._graph.initializer)}'
    self._graph.initializer.append(
      numpy_helper.from_array(np.asarray(value, dtype), name)
    )
    return name

  def add(self, op: str, *inputs: str, output: str = '', **attributes) -> str:
    return self.add_many(op, inputs, [output], **attributes)[0]

  def add_many(self, op, inputs, outputs, **attributes) -> List[str]:
    number = len(self._graph.node) + len(self.nodes)
    names = [
      name or f'nms/{op}_{number}_{position}'
      for position, name in enumerate(outputs)
    ]
    self.nodes.append(
      helper.make_node(op, list(inputs), names, name=names[0], **attributes)
    )
    return names


def append(
  graph: Any,
  boxes: str,
  scores: str,
  num_boxes: int,
  settings: Any,
  has_float_classes: bool,
) -> None:
  """Adds NMS to a graph, in place.

  New tensors: `num_detections` int32 [batch], `detection_boxes` float32 [batch,
  max_total_size, 4], `detection_classes` [batch, max_total_size] and
  `detection_scores` float32 [batch, max_total_size].

  Args:
    graph: onnx.GraphProto, opset 13 or later.
    boxes: name of a float32 tensor [batch, num_boxes, 1, 4].
    scores: name of a float32 tensor [batch, num_boxes, num_classes].
    num_boxes: its size.
    settings: the block `postprocess`.
    has_float_classes: dtype of the classes, float32 or int32.
  """
  is_batched = postprocess_ops.nms_version(settings) == 'batched'
  score_threshold = settings.score_threshold
  if not is_batched:
    score_threshold = max(score_threshold, _PADDING_SCORE)
  b = _Builder(graph)
  boxes = b.add('Squeeze', boxes, b.constant([2]))
  # Class-major, so that ties go to the lower class.
  scores = b.add('Transpose', scores, perm=[0, 2, 1])
  all_scores, best_class = scores, None
  if settings.class_agnostic_nms:
    # Each box has its best class alone, and all are suppressed as one.
    scores, best_class = b.add_many(
      'TopK', [scores, b.constant([1])], ['', ''], axis=1
    )
    best_class = b.add('Squeeze', best_class, b.constant([1]))
  nothing = b.constant(_NOTHING, np.float32)
  has_area = b.add('Unsqueeze', _has_area(b, boxes), b.constant([1]))
  threshold = b.constant(score_threshold, np.float32)
  is_candidate = b.add('And', b.add('Greater', scores, threshold), has_area)
  scores = b.add('Where', is_candidate, scores, nothing)
  limit = settings.pre_nms_num_boxes
  if not is_batched and limit < num_boxes:
    scores = _only_best(b, scores, is_candidate, limit)

  iou_threshold = np.float32(settings.nms_iou_threshold)
  if not is_batched:
    # The operator drops what is above its threshold.
    iou_threshold = np.nextafter(iou_threshold, np.float32(0))
  selected = b.add(
    'NonMaxSuppression',
    boxes,
    scores,
    b.constant(settings.max_total_size),
    b.constant(iou_threshold, np.float32),
    threshold,
  )
  kept_scores = b.add('GatherND', scores, selected)
  empty = b.add(
    'ConstantOfShape',
    b.add('Shape', scores),
    value=numpy_helper.from_array(np.array([_NOTHING])),
  )
  kept = b.add('ScatterND', empty, selected, kept_scores)
  _finish(
    b,
    boxes,
    all_scores,
    kept,
    best_class,
    num_boxes,
    settings,
    has_float_classes,
  )


def _has_area(b: _Builder, boxes: str) -> str:
  """[batch, n] bool."""
  ymin, xmin, ymax, xmax = b.add_many(
    'Split', [boxes, b.constant([1, 1, 1, 1])], [''] * 4, axis=2
  )
  area = b.add('Mul', b.add('Sub', ymax, ymin), b.add('Sub', xmax, xmin))
  zero = b.constant(0, np.float32)
  is_positive = b.add(
    'And',
    b.add('Greater', ymax, ymin),
    b.add('And', b.add('Greater', xmax, xmin), b.add('Greater', area, zero)),
  )
  return b.add('Squeeze', is_positive, b.constant([2]))


def _only_best(b: _Builder, scores: str, is_candidate: str, limit: int) -> str:
  """Drops candidates beyond the best `limit` of a class.

  Sorting every class takes longer than all the rest, and nearly no image has
  so many candidates.
  """
  count = b.add(
    'ReduceSum',
    b.add('Cast', is_candidate, to=onnx.TensorProto.INT64),
    b.constant([2]),
    keepdims=0,
  )
  most = b.add('ReduceMax', count, keepdims=0)
  has_too_many = b.add('Greater', most, b.constant(limit))

  def branch(name, build):
    inner = _Builder(b._graph, [])
    output = build(inner)
    value = helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)
    return helper.make_graph(inner.nodes, name, [], [value])

  def cut(inner):
    best, _ = inner.add_many(
      'TopK', [scores, inner.constant([limit])], ['', ''], axis=2
    )
    last = inner.add(
      'Slice',
      best,
      inner.constant([limit - 1]),
      inner.constant([limit]),
      inner.constant([2]),
    )
    return inner.add(
      'Where',
      inner.add('GreaterOrEqual', scores, last),
      scores,
      inner.constant(_NOTHING, np.float32),
    )

  return b.add(
    'If',
    has_too_many,
    then_branch=branch('cut', cut),
    else_branch=branch('all', lambda inner: inner.add('Identity', scores)),
  )


def _finish(
  b: _Builder,
  boxes: str,
  all_scores: str,
  kept: str,
  best_class: Optional[str],
  num_boxes: int,
  settings: Any,
  has_float_classes: bool,
) -> None:
  """Takes the best of all classes, and fills free slots.

  Args:
    b: adds the nodes.
    boxes: [batch, n, 4].
    all_scores: [batch, classes, n], before anything was dropped.
    kept: [batch, classes, n], `_NOTHING` where nothing was kept; of one class
      if there is a `best_class`.
    best_class: [batch, n], where suppression knows one class only.
    num_boxes: n.
    settings: the block `postprocess`.
    has_float_classes: dtype of the classes.
  """
  version = postprocess_ops.nms_version(settings)
  padding_score = 0.0 if version == 'batched' else _PADDING_SCORE
  nothing = b.constant(_NOTHING, np.float32)
  kept = b.add('Flatten', kept, axis=1)
  # There may be fewer scores than slots.
  pads = b.constant([0, 0, 0, settings.max_total_size])
  kept = b.add('Pad', kept, pads, nothing)
  top, index = b.add_many(
    'TopK', [kept, b.constant([settings.max_total_size])], ['', ''], axis=1
  )
  is_used = b.add('Greater', top, nothing)
  one = b.constant([1])
  used = b.add('Cast', is_used, to=onnx.TensorProto.INT32)
  b.add('ReduceSum', used, one, keepdims=0, output='num_detections')
  padding = b.constant(padding_score, np.float32)
  b.add('Where', is_used, top, padding, output='detection_scores')
  size = b.constant(num_boxes)
  row = b.add('Mod', index, size)
  if best_class:
    class_id = b.add('GatherElements', best_class, row, axis=1)
  else:
    class_id = b.add('Div', index, size)
  class_id = b.add('Add', class_id, one)
  class_id = b.add('Where', is_used, class_id, one)
  tensor = onnx.TensorProto
  dtype = tensor.FLOAT if has_float_classes else tensor.INT32
  b.add('Cast', class_id, to=dtype, output='detection_classes')
  two = b.constant([2])
  box_index = b.add('Unsqueeze', row, two)
  found = b.add('GatherND', boxes, box_index, batch_dims=1)
  padding = b.constant(0, np.float32)
  if version == 'v1':
    first = b.add('Gather', all_scores, b.constant(0), axis=1)
    best = b.add('ArgMax', first, axis=1, keepdims=1)
    best = b.add('Unsqueeze', best, two)
    padding = b.add('GatherND', boxes, best, batch_dims=1)
  is_used = b.add('Unsqueeze', is_used, two)
  b.add('Where', is_used, found, padding, output='detection_boxes')
