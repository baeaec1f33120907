"""Objects of all images of a batch, as one list.

Images have different numbers of objects. One matrix with a row for each object
passes through batching as a ragged tensor, what does not fit into a row in
ragged tensors beside it, and everything about boxes is then computed for the
whole batch at once.
"""

from typing import Any, Dict, Mapping, NamedTuple, Sequence, Tuple

import tensorflow.compat.v1 as tf

_NUM_COLUMNS = 7
_COLUMNS = 'columns'

# (dtype, shape) by name of what an object has beside its row.
Beside = Mapping[str, Tuple[tf.DType, Sequence[int]]]


class ObjectList(NamedTuple):
  """The n objects of all images of a batch, image after image.

  Attributes:
    boxes_normalized: float32 [n, 4], `[ymin, xmin, ymax, xmax]`.
    classes: int32 [n].
    is_crowd: bool [n].
    area: float32 [n], in pixels of the original image.
    image_indices: int32 [n], ascending.
    num_objects: int32 [batch].
    beside: [n, ...] by name, what else belongs to the objects.
  """

  boxes_normalized: tf.Tensor
  classes: tf.Tensor
  is_crowd: tf.Tensor
  area: tf.Tensor
  image_indices: tf.Tensor
  num_objects: tf.Tensor
  beside: Dict[str, tf.Tensor]


def pack(
  data: Dict[str, tf.Tensor], beside: Beside
) -> Dict[str, tf.RaggedTensor]:
  """Packs the objects of one image; see `TfExampleDecoder.decode`.

  Class ids pass as float32, so they have to be below 2^24.

  Args:
    data: decoded, with the names of `beside` among its keys.
    beside: what travels beside the rows.
  """
  columns = tf.concat(
    [
      data['groundtruth_boxes'],
      tf.stack(
        [
          tf.cast(data['groundtruth_classes'], tf.float32),
          tf.cast(data['groundtruth_is_crowd'], tf.float32),
          data['groundtruth_area'],
        ],
        axis=1,
      ),
    ],
    axis=1,
  )
  checks = [
    tf.debugging.assert_equal(
      tf.shape(data[name])[:1],
      tf.shape(columns)[:1],
      message=f'Objects and their {name} differ in number.',
    )
    for name in beside
  ]
  with tf.control_dependencies(checks):
    columns = tf.identity(columns)
  packed = {name: _one_row(data[name]) for name in beside}
  return dict(packed, **{_COLUMNS: _one_row(columns)})


def pack_none(beside: Beside) -> Dict[str, tf.RaggedTensor]:
  """Packs the objects of an image that has none."""
  packed = {
    name: _one_row(tf.zeros([0, *shape], dtype))
    for name, (dtype, shape) in beside.items()
  }
  return dict(packed, **{_COLUMNS: _one_row(tf.zeros([0, _NUM_COLUMNS]))})


def _one_row(columns: tf.Tensor) -> tf.RaggedTensor:
  size = tf.shape(columns, out_type=tf.int64)[0]
  return tf.RaggedTensor.from_row_splits(
    columns, tf.stack([0, size]), validate=False
  )


def one_image(element: Dict[str, Any]) -> Dict[str, Any]:
  """A batch of one element, as batching makes it."""

  def batched(value):
    if isinstance(value, tf.RaggedTensor):
      return tf.RaggedTensor.from_row_splits(value, [0, 1], validate=False)
    return value[tf.newaxis]

  return tf.nest.map_structure(batched, element)


def unpack(packed: Dict[str, Any], batch_size: int) -> ObjectList:
  """Unpacks the objects of a batch, each [batch, 1, objects, ...]."""
  columns = packed[_COLUMNS].flat_values
  images = packed[_COLUMNS].values
  num_objects = tf.cast(images.row_lengths(), tf.int32)
  num_objects.set_shape([batch_size])
  return ObjectList(
    boxes_normalized=columns[:, :4],
    classes=tf.cast(columns[:, 4], tf.int32),
    is_crowd=columns[:, 5] > 0.0,
    area=columns[:, 6],
    image_indices=tf.cast(images.value_rowids(), tf.int32),
    num_objects=num_objects,
    beside={
      name: ragged.flat_values
      for name, ragged in packed.items()
      if name != _COLUMNS
    },
  )


def data(objects: ObjectList) -> Dict[str, tf.Tensor]:
  """What `pack` takes, of the objects of one image."""
  return {
    'groundtruth_boxes': objects.boxes_normalized,
    'groundtruth_classes': objects.classes,
    'groundtruth_is_crowd': objects.is_crowd,
    'groundtruth_area': objects.area,
    **objects.beside,
  }


def keep(objects: ObjectList, mask: tf.Tensor) -> ObjectList:
  """Returns the objects where `mask`, bool [n], is true."""
  return take(objects, tf.where(mask)[:, 0])


def take(objects: ObjectList, indices: tf.Tensor) -> ObjectList:
  """Returns the objects at `indices`, int [k], image after image."""
  kept = tf.nest.map_structure(
    lambda values: tf.gather(values, indices),
    objects._replace(num_objects=objects.image_indices),
  )
  num_objects = tf.math.unsorted_segment_sum(
    tf.ones_like(kept.image_indices),
    kept.image_indices,
    objects.num_objects.shape.as_list()[0],
  )
  return kept._replace(num_objects=num_objects)


def positions(objects: ObjectList) -> tf.Tensor:
  """Each object's index among those of its image, int32 [n]."""
  starts = tf.cumsum(objects.num_objects, exclusive=True)
  numbers = tf.range(tf.size(objects.image_indices))
  return numbers - tf.gather(starts, objects.image_indices)


def by_image(
  objects: ObjectList, values: tf.Tensor, length: int, padding: float
) -> tf.Tensor:
  """One row for each image, cut or padded to `length` objects.

  Args:
    objects: of the batch.
    values: [n, ...], one for each object.
    length: objects of a row.
    padding: value of missing ones.

  Returns:
    [batch, length, ...].
  """
  batch_size = objects.num_objects.shape.as_list()[0]
  position = positions(objects)
  fits = tf.where(position < length)[:, 0]
  indices = tf.stack([objects.image_indices, position], axis=1)
  padded = tf.fill(
    [batch_size, length] + values.shape.as_list()[1:],
    tf.cast(padding, values.dtype),
  )
  return tf.tensor_scatter_update(
    padded, tf.gather(indices, fits), tf.gather(values, fits)
  )
