"""Non-maximum suppression of many classes at once.

The greedy rule, class by class, keeps a box unless it overlaps a kept one of
higher score, and of all classes' kept boxes the best are returned. Boxes of
different classes do not touch each other, so the same result comes from going
through the candidates of all classes together, in the order of their scores,
until enough are kept: no loop over images and classes, and boxes that cannot
be returned any more are never looked at.

No shape depends on the data, so it compiles for TPUs.
"""

from typing import Any, NamedTuple, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from ops import box_ops, loop_free_nms, portability

# Candidates that one pass over all scores extracts.
_BLOCK_SIZE = 4096
# Candidates that are compared pairwise at a time.
_CHUNK_SIZE = 256

_NOT_A_CANDIDATE = np.finfo(np.float32).min


class KeptBoxes(NamedTuple):
  """Kept boxes, best first; ties: lower class, then lower index first.

  Attributes:
    count: int32 [batch], how many of the `max_detections` slots are used; the
      others hold zeros and class -1.
    boxes: float32 [batch, max_detections, 4].
    classes: int32 [batch, max_detections], columns of the scores.
    scores: float32 [batch, max_detections].
    rows: int32 [batch, max_detections], rows of the scores.
  """

  count: tf.Tensor
  boxes: tf.Tensor
  classes: tf.Tensor
  scores: tf.Tensor
  rows: tf.Tensor


class _Candidates(NamedTuple):
  """Best first: [batch, n, 4], the others [batch, n].

  `index` is the place among all scores, class-major.
  """

  boxes: tf.Tensor
  classes: tf.Tensor
  scores: tf.Tensor
  rows: tf.Tensor
  index: tf.Tensor


def multiclass_nms(
  boxes: tf.Tensor,
  scores: tf.Tensor,
  max_detections: int,
  iou_threshold: float,
  score_threshold: float,
  max_candidates_per_class: Optional[int] = None,
  suppress_equal: bool = True,
  keep_empty: bool = False,
) -> KeptBoxes:
  """Greedy non-maximum suppression within each class.

  What one image gets does not depend on the others of its batch.

  Args:
    boxes: float32 [batch, n, 4], `[ymin, xmin, ymax, xmax]`, shared by all
      classes; or [batch, n, num_classes, 4]. Only boxes with `ymax > ymin` and
      `xmax > xmin` can be kept.
    scores: float32 [batch, n, num_classes]; n and num_classes static.
    max_detections: boxes to keep of each image, over all classes.
    iou_threshold: overlap (intersection over union) with a better box of the
      same class at which a box is dropped.
    score_threshold: only boxes with a higher score are candidates.
    max_candidates_per_class: of each class, only so many of the best scores
      are candidates; None: all.
    suppress_equal: whether an overlap of exactly `iou_threshold` drops a box.
    keep_empty: whether boxes without area can be kept too; they overlap with
      nothing.
  """
  if portability.is_required():
    fields = loop_free_nms.multiclass_nms(
      boxes,
      scores,
      max_detections,
      iou_threshold,
      score_threshold,
      max_candidates_per_class,
      keep_empty,
    )
    return KeptBoxes(*fields)
  num_boxes, num_classes = scores.shape.as_list()[1:]
  boxes, scores = _class_major(boxes, scores, score_threshold)
  selection = _Selection(
    max_detections,
    iou_threshold,
    suppress_equal,
    num_classes,
    # A limit that no class can reach costs nothing.
    None
    if max_candidates_per_class is None or max_candidates_per_class >= num_boxes
    else max_candidates_per_class,
    keep_empty,
  )
  return _select(boxes, scores, num_boxes, selection)


def class_agnostic_nms(
  boxes: tf.Tensor, scores: tf.Tensor, *args: Any, **kwargs: Any
) -> KeptBoxes:
  """`multiclass_nms` of all classes as if they were one.

  A box counts in its best class alone, ties going to the lower one, and drops
  boxes of every class; a limit of candidates is that of boxes.
  """
  best_class = tf.argmax(scores, axis=2, output_type=tf.int32)
  if boxes.shape.ndims == 4:
    boxes = tf.gather(boxes, best_class[:, :, None], batch_dims=2, axis=2)
  scores = tf.reduce_max(scores, axis=2, keepdims=True)
  kept = multiclass_nms(boxes, scores, *args, **kwargs)
  classes = tf.gather(best_class, kept.rows, batch_dims=1, axis=1)
  is_used = kept.classes >= 0
  return kept._replace(classes=tf.where(is_used, classes, kept.classes))


def _class_major(
  boxes: tf.Tensor, scores: tf.Tensor, score_threshold: float
) -> Tuple[tf.Tensor, tf.Tensor]:
  """[batch, n or classes * n, 4], [batch, classes * n] of the candidates.

  In this order ties go to the lower class, then to the lower index.
  """
  num_scores = scores.shape[1:].num_elements()
  boxes = tf.cast(boxes, tf.float32)
  if boxes.shape.ndims == 4:
    boxes = tf.reshape(tf.transpose(boxes, [0, 2, 1, 3]), [-1, num_scores, 4])
  scores = tf.cast(scores, tf.float32)
  # A score that is not a number is no candidate.
  scores = tf.where(scores > score_threshold, scores, _nothing_like(scores))
  return boxes, tf.reshape(tf.transpose(scores, [0, 2, 1]), [-1, num_scores])


def _select(
  boxes: tf.Tensor,
  scores: tf.Tensor,
  num_boxes: int,
  selection: '_Selection',
) -> KeptBoxes:
  """Takes candidates in blocks, best first, until nothing can be added.

  Args:
    boxes: float32 [batch, n, 4], or [batch, classes * n, 4], class-major.
    scores: float32 [batch, classes * n], class-major.
    num_boxes: n.
    selection: of the same images.
  """
  num_scores = scores.shape.as_list()[1]

  def next_block(scores):
    top_scores, index = tf.nn.top_k(scores, min(_BLOCK_SIZE, num_scores))
    box_index = tf.floormod(index, boxes.shape.as_list()[1])
    return _Candidates(
      boxes=tf.gather(boxes, box_index, batch_dims=1, axis=1),
      classes=tf.floordiv(index, num_boxes),
      scores=top_scores,
      rows=tf.floormod(index, num_boxes),
      index=index,
    )

  def is_unfinished(kept, seen, last_score, last_index):
    del seen, last_index
    return selection.any_unfinished(kept, last_score)

  def continue_after(kept, seen, last_score, last_index):
    # The first block nearly always suffices. What it held comes before its
    # last candidate in the order of scores.
    last_score, last_index = last_score[:, None], last_index[:, None]
    index = tf.range(num_scores)[None]
    is_left = (scores < last_score) | (
      tf.equal(scores, last_score) & (index > last_index)
    )
    block = next_block(tf.where(is_left, scores, _nothing_like(scores)))
    kept, seen = selection.add_block(kept, seen, block)
    return kept, seen, block.scores[:, -1], block.index[:, -1]

  block = next_block(scores)
  kept, seen = selection.add_block(*selection.start(boxes), block)
  kept, _, _, _ = tf.while_loop(
    is_unfinished,
    continue_after,
    (kept, seen, block.scores[:, -1], block.index[:, -1]),
    back_prop=False,
  )
  return kept


class _Selection:
  """Greedy selection from candidates that come best first, in blocks."""

  def __init__(
    self,
    max_detections: int,
    iou_threshold: float,
    suppress_equal: bool,
    num_classes: int,
    max_candidates_per_class: Optional[int],
    keep_empty: bool,
  ):
    self._max_detections = max_detections
    self._iou_threshold = iou_threshold
    self._suppresses = tf.greater_equal if suppress_equal else tf.greater
    self._num_classes = num_classes
    self._max_candidates_per_class = max_candidates_per_class
    self._keep_empty = keep_empty

  def start(self, boxes: tf.Tensor) -> Tuple[KeptBoxes, tf.Tensor]:
    """Nothing kept, no candidate seen of any class."""
    batch_size = boxes.shape.as_list()[0] or tf.shape(boxes)[0]
    kept = KeptBoxes(
      count=tf.zeros([batch_size], tf.int32),
      boxes=tf.zeros([batch_size, self._max_detections, 4]),
      classes=tf.fill([batch_size, self._max_detections], -1),
      scores=tf.zeros([batch_size, self._max_detections]),
      rows=tf.zeros([batch_size, self._max_detections], tf.int32),
    )
    return kept, tf.zeros([batch_size, self._num_classes], tf.int32)

  def any_unfinished(self, kept: KeptBoxes, next_score: tf.Tensor) -> tf.Tensor:
    """Whether some image has both free slots and candidates left."""
    return tf.reduce_any(
      (kept.count < self._max_detections) & (next_score > _NOT_A_CANDIDATE)
    )

  def add_block(
    self, kept: KeptBoxes, seen: tf.Tensor, block: _Candidates
  ) -> Tuple[KeptBoxes, tf.Tensor]:
    """Keeps what it can of a block, chunk by chunk."""
    block_size = block.scores.shape.as_list()[1]
    chunk_size = min(_CHUNK_SIZE, block_size)
    num_chunks = -(-block_size // chunk_size)
    chunks = _Candidates(
      *[
        _split(x, num_chunks, chunk_size, padding)
        for x, padding in zip(block, (0.0, 0, _NOT_A_CANDIDATE, 0, 0))
      ]
    )

    def is_unfinished(i, kept, seen):
      del seen
      first_score = tf.gather(
        chunks.scores[:, :, 0], tf.minimum(i, num_chunks - 1), axis=1
      )
      return (i < num_chunks) & self.any_unfinished(kept, first_score)

    def add(i, kept, seen):
      chunk = _Candidates(*[tf.gather(x, i, axis=1) for x in chunks])
      return (i + 1,) + self._add_chunk(kept, seen, chunk)

    _, kept, seen = tf.while_loop(
      is_unfinished, add, (tf.constant(0), kept, seen), back_prop=False
    )
    return kept, seen

  def _add_chunk(
    self, kept: KeptBoxes, seen: tf.Tensor, chunk: _Candidates
  ) -> Tuple[KeptBoxes, tf.Tensor]:
    size = chunk.scores.shape.as_list()[1]
    earlier = tf.constant(np.triu(np.ones([1, size, size], np.bool_), 1))
    rivals = earlier & _same_class(chunk.classes, chunk.classes)
    is_open = chunk.scores > _NOT_A_CANDIDATE
    if not self._keep_empty:
      is_open &= box_ops.has_area(chunk.boxes)
    if self._max_candidates_per_class is not None:
      rank = tf.gather(seen, chunk.classes, batch_dims=1, axis=1)
      rank += tf.reduce_sum(
        tf.cast(rivals & is_open[:, :, None], tf.int32), axis=1
      )
      columns = tf.range(self._num_classes)[None, None]
      is_of_class = tf.equal(chunk.classes[:, :, None], columns)
      seen += tf.reduce_sum(
        tf.cast(is_of_class & is_open[:, :, None], tf.int32), axis=1
      )
      is_open &= rank < self._max_candidates_per_class

    beaten = self._overlaps(kept.boxes, chunk.boxes)
    beaten &= _same_class(kept.classes, chunk.classes)
    is_open &= ~tf.reduce_any(beaten, axis=1)
    beats = rivals & self._overlaps(chunk.boxes, chunk.boxes)
    return self._append(kept, chunk, _greedy(is_open, beats)), seen

  def _overlaps(self, a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """[batch, n, 4], [batch, m, 4] to bool [batch, n, m]."""
    return self._suppresses(box_ops.pairwise_iou(a, b), self._iou_threshold)

  def _append(
    self, kept: KeptBoxes, chunk: _Candidates, is_kept: tf.Tensor
  ) -> KeptBoxes:
    size = chunk.scores.shape.as_list()[1]
    # Positions of the kept ones, in order, before those of the others.
    countdown = tf.cast(is_kept, tf.int32) * tf.range(size, 0, -1)
    _, order = tf.nn.top_k(countdown, size)
    slot = tf.range(self._max_detections)[None]
    position = slot - kept.count[:, None]
    count = kept.count + tf.reduce_sum(tf.cast(is_kept, tf.int32), axis=1)
    is_new = (position >= 0) & (slot < count[:, None])
    source = tf.gather(
      order, tf.clip_by_value(position, 0, size - 1), batch_dims=1, axis=1
    )

    def merge(new, old):
      new = tf.gather(new, source, batch_dims=1, axis=1)
      mask = is_new
      if new.shape.ndims == 3:
        mask = tf.tile(is_new[:, :, None], [1, 1, new.shape[2]])
      return tf.where(mask, new, old)

    return KeptBoxes(
      count=tf.minimum(count, self._max_detections),
      boxes=merge(chunk.boxes, kept.boxes),
      classes=merge(chunk.classes, kept.classes),
      scores=merge(chunk.scores, kept.scores),
      rows=merge(chunk.rows, kept.rows),
    )


def _greedy(is_open: tf.Tensor, beats: tf.Tensor) -> tf.Tensor:
  """Keeps every open candidate that no kept one beats.

  Args:
    is_open: bool [batch, n].
    beats: bool [batch, n, n]; candidate i beats j, only for i < j.

  Returns:
    bool [batch, n]. The rule has one solution, since whether j is kept depends
    on earlier ones alone; applying it to all candidates at once settles at
    least one more each time, in practice nearly all within a few rounds.
  """
  beats = tf.cast(beats, tf.float32)

  def settle(kept, _):
    num_beaten_by = tf.matmul(tf.cast(kept, tf.float32)[:, None], beats)[:, 0]
    new = is_open & (num_beaten_by < 0.5)
    return new, tf.reduce_any(tf.not_equal(new, kept))

  kept, _ = tf.while_loop(
    lambda _, has_changed: has_changed,
    settle,
    (is_open, tf.reduce_any(is_open)),
    back_prop=False,
  )
  return kept


def _same_class(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
  return tf.equal(a[:, :, None], b[:, None])


def _split(
  x: tf.Tensor, num_chunks: int, chunk_size: int, padding: float
) -> tf.Tensor:
  """[batch, n, ...] to [batch, num_chunks, chunk_size, ...], padded."""
  shape = x.shape.as_list()
  extra = num_chunks * chunk_size - shape[1]
  x = tf.pad(
    x,
    [[0, 0], [0, extra]] + [[0, 0]] * (len(shape) - 2),
    constant_values=padding,
  )
  return tf.reshape(x, [-1, num_chunks, chunk_size] + shape[2:])


def _nothing_like(scores: tf.Tensor) -> tf.Tensor:
  return tf.fill(tf.shape(scores), _NOT_A_CANDIDATE)
