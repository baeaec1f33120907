"""Checks of groundtruth, inside the graph."""

from typing import Dict, List

import tensorflow.compat.v1 as tf

# Annotation tools round coordinates, so a box may stick out by this much.
BOX_TOLERANCE = 1e-3


def check_lengths(parsed: Dict[str, tf.Tensor]) -> List[tf.Operation]:
  """Assertions that all lists of a record are of one length.

  Args:
    parsed: of `TfExampleDecoder.parse`.
  """
  size = tf.size(parsed['classes'])
  matches = [
    tf.equal(tf.size(parsed[key]), size)
    for key in ('ymin', 'xmin', 'ymax', 'xmax')
  ]
  for key in ('area', 'is_crowd'):
    length = tf.size(parsed[key])
    matches.append(tf.equal(length, size) | tf.equal(length, 0))
  return [
    tf.debugging.Assert(
      tf.reduce_all(matches),
      [
        'Image with source id',
        parsed['source_id'],
        'has lists of different lengths; number of labels, ymin, xmin, ymax, '
        'xmax, area, is_crowd:',
        *[
          tf.size(parsed[key])
          for key in (
            'classes',
            'ymin',
            'xmin',
            'ymax',
            'xmax',
            'area',
            'is_crowd',
          )
        ],
      ],
    )
  ]


def check_groundtruth(
  source_id: tf.Tensor,
  boxes_normalized: tf.Tensor,
  classes: tf.Tensor,
  num_classes: int,
) -> List[tf.Operation]:
  """Assertions that boxes and class ids can be used.

  Args:
    source_id: string scalar, named in the error.
    boxes_normalized: float32 [n, 4], `[ymin, xmin, ymax, xmax]`.
    classes: [n].
    num_classes: number of classes including the background, 0.

  Returns:
    Operations that raise InvalidArgumentError.
  """
  in_range = (boxes_normalized >= -BOX_TOLERANCE) & (
    boxes_normalized <= 1.0 + BOX_TOLERANCE
  )
  ordered = boxes_normalized[:, 2:] >= boxes_normalized[:, :2]
  known = (classes >= 1) & (classes < num_classes)
  return [
    tf.debugging.Assert(
      tf.reduce_all(in_range) & tf.reduce_all(ordered),
      [
        'Image with source id',
        source_id,
        'has a box that is inverted or outside of [0, 1]; ymin, xmin, ymax, '
        'xmax:',
        boxes_normalized,
      ],
      summarize=1000,
    ),
    tf.debugging.Assert(
      tf.reduce_all(known),
      [
        'Image with source id',
        source_id,
        'has a class id outside of 1 to',
        num_classes - 1,
        '(architecture.num_classes counts the background too); class ids:',
        classes,
      ],
      summarize=1000,
    ),
  ]
