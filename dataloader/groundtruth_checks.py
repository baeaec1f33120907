"""Checks of groundtruth, inside the graph."""

from typing import Any, List

import tensorflow.compat.v1 as tf

from dataloader import object_list

# Annotation tools round coordinates, so a box may stick out by this much.
BOX_TOLERANCE = 1e-3


def are_good_boxes(boxes_normalized: tf.Tensor) -> tf.Tensor:
  """Which boxes, [n, 4], are upright and inside of the image; bool [n]."""
  return tf.reduce_all(
    (boxes_normalized >= -BOX_TOLERANCE)
    & (boxes_normalized <= 1.0 + BOX_TOLERANCE),
    axis=1,
  ) & tf.reduce_all(boxes_normalized[:, 2:] >= boxes_normalized[:, :2], axis=1)


def check_objects(
  objects: object_list.ObjectList, source_ids: tf.Tensor, num_classes: int
) -> List[tf.Operation]:
  """Assertions that boxes and class ids of a batch can be used.

  Args:
    objects: of the batch.
    source_ids: string [batch], to be named in the error.
    num_classes: number of classes including the background, 0.

  Returns:
    Operations that raise InvalidArgumentError for the first bad object.
  """
  boxes = objects.boxes_normalized
  good_boxes = are_good_boxes(boxes)
  good_classes = (objects.classes >= 1) & (objects.classes < num_classes)
  return [
    _assert_all(
      good_boxes,
      objects,
      source_ids,
      'A box is inverted or outside of [0, 1]; ymin, xmin, ymax, xmax:',
      boxes,
    ),
    _assert_all(
      good_classes,
      objects,
      source_ids,
      f'A class id is outside of 1 to {num_classes - 1} '
      f'(architecture.num_classes {num_classes} counts the background too):',
      objects.classes,
    ),
  ]


def _assert_all(
  is_good: tf.Tensor,
  objects: object_list.ObjectList,
  source_ids: tf.Tensor,
  message: str,
  values: tf.Tensor,
) -> tf.Operation:
  def fail() -> Any:
    first = tf.where(tf.logical_not(is_good))[0, 0]
    image = tf.gather(objects.image_indices, first)
    return tf.debugging.Assert(
      False,
      [
        message,
        tf.gather(values, first),
        'in the image with source id',
        tf.gather(source_ids, image),
      ],
      summarize=4,
    )

  return tf.cond(tf.reduce_all(is_good), tf.no_op, fail)
