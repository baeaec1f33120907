"""From a record to the model's image and targets: what all detectors share."""

import abc
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader import groundtruth_checks, tf_example_decoder
from ops import box_ops, preprocess_ops
from utils import errors, mode_keys

Tensors = Dict[str, Any]

# Random numbers that the augmentation of one image consumes: flip, scale,
# y and x of the crop.
NUM_DRAWS = 4

# An image policy: (image, boxes_normalized) to both, augmented.
Policy = Callable[[tf.Tensor, tf.Tensor], Tuple[tf.Tensor, tf.Tensor]]


class DetectionParser(abc.ABC):
  """Template of a parser.

  A record passes `parse_record`, `decode` and `process`, batches pass
  `finish_batch`. A subclass says which targets its model learns.

  Args:
    mode: one of `utils.mode_keys`.
    output_size: desired (height, width) in pixels, before padding.
    stride: the sides of the padded image are multiples of it.
    num_classes: number of classes including the background, 0.
    aug_rand_hflip: mirror every second training image.
    aug_scale_range: (min, max) of the scale jitter in training.
    aug_policy: further augmentation of training images.
    skip_crowd_during_training: drop crowd boxes in training.
    max_num_instances: the groundtruth lists of EVAL and PREDICT_WITH_GT are
      cut or padded to this length.
    regenerate_source_id: see `TfExampleDecoder`.
    use_bfloat16: deliver images as bfloat16.
    transpose_input: deliver training images with the batch dimension behind
      the spatial ones.
    space_to_depth_block_size: above 1, move blocks of pixels of training
      images into channels.
  """

  def __init__(
    self,
    mode: str,
    output_size: Sequence[int],
    stride: int,
    num_classes: int,
    aug_rand_hflip: bool = False,
    aug_scale_range: Tuple[float, float] = (1.0, 1.0),
    aug_policy: Optional[Policy] = None,
    skip_crowd_during_training: bool = True,
    max_num_instances: int = 100,
    regenerate_source_id: bool = False,
    use_bfloat16: bool = False,
    transpose_input: bool = False,
    space_to_depth_block_size: int = 1,
  ):
    if mode not in mode_keys.ALL:
      raise errors.ConfigError(
        'Mode {!r} is unknown; known are {}.'.format(
          mode, ', '.join(mode_keys.ALL)
        )
      )
    self._mode = mode
    self._output_size = tuple(output_size)
    self._padded_size = preprocess_ops.padded_size(output_size, stride)
    self._num_classes = num_classes
    self._aug_rand_hflip = aug_rand_hflip
    self._aug_scale_range = tuple(aug_scale_range)
    self._aug_policy = aug_policy
    self._skip_crowd = skip_crowd_during_training
    self._max_num_instances = max_num_instances
    self._dtype = tf.bfloat16 if use_bfloat16 else tf.float32
    self._transpose_input = transpose_input
    self._block_size = space_to_depth_block_size
    self._decoder = tf_example_decoder.TfExampleDecoder(regenerate_source_id)
    self._is_training = mode == mode_keys.TRAIN
    self._uses_groundtruth = mode != mode_keys.PREDICT
    self._delivers_groundtruth = mode in (
      mode_keys.EVAL,
      mode_keys.PREDICT_WITH_GT,
    )
    self._count_key = (
      'num_groundtruths' if mode == mode_keys.EVAL else 'num_detections'
    )

  @abc.abstractmethod
  def _targets(self, boxes_scaled: tf.Tensor, classes: tf.Tensor) -> Tensors:
    """Targets of one image, tensors of fixed shape.

    Args:
      boxes_scaled: float32 [n, 4], pixels of the padded image, none empty.
      classes: int64 [n].
    """

  @abc.abstractmethod
  def _padding_targets(self) -> Dict[str, Any]:
    """Arrays as `_targets` gives, that no loss counts."""

  def _constant_labels(self, batch_size: int) -> Tensors:
    """Labels that do not depend on the image, outside training."""
    del batch_size
    return {}

  def parse_record(self, record: tf.Tensor) -> Tensors:
    """Parses a serialized tf.Example; the image stays encoded."""
    parsed = self._decoder.parse(record)
    if not self._uses_groundtruth:
      return parsed
    with tf.control_dependencies(groundtruth_checks.check_lengths(parsed)):
      return tf.nest.map_structure(tf.identity, parsed)

  def decode(self, parsed: Tensors) -> Tensors:
    """Decodes the image; see `TfExampleDecoder.decode`."""
    return self._decoder.decode_parsed(parsed)

  def process(
    self, data: Tensors, draws: Optional[tf.Tensor] = None
  ) -> Tensors:
    """Makes one element of the dataset.

    Args:
      data: of `decode`.
      draws: float32 [NUM_DRAWS], uniform in [0, 1); in training.

    Returns:
      Tensors of fixed shape: `image` [padded height, padded width, 3] and
      `labels`.
    """
    image, source_id = data['image'], data['source_id']
    boxes_normalized = data['groundtruth_boxes']
    classes = data['groundtruth_classes']
    if self._uses_groundtruth:
      checks = groundtruth_checks.check_groundtruth(
        source_id, boxes_normalized, classes, self._num_classes
      )
      with tf.control_dependencies(checks):
        boxes_normalized = tf.identity(boxes_normalized)
    scale_range = (1.0, 1.0)
    if self._is_training:
      scale_range = self._aug_scale_range
      image, boxes_normalized, classes = self._augment(
        image, boxes_normalized, classes, data['groundtruth_is_crowd'], draws
      )
    image_size = tf.cast(tf.shape(image)[:2], tf.float32)
    plan = preprocess_ops.plan_resize(
      image_size,
      self._output_size,
      scale_range,
      None if draws is None else draws[1:],
    )
    labels = {'image_info': plan.image_info}
    if self._is_training:
      labels['source_id'] = tf_example_decoder.source_id_to_number(source_id)
    else:
      labels['is_padding'] = tf.constant(False)
    if self._uses_groundtruth:
      boxes = box_ops.denormalize_boxes(boxes_normalized, image_size)
      labels.update(self._targets_after_resize(boxes, classes, plan))
    if self._delivers_groundtruth:
      labels['groundtruths'] = self._groundtruths(data, boxes)
    return {'image': self._finish_image(image, plan), 'labels': labels}

  def padding_element(self) -> Dict[str, Any]:
    """An element as `process` makes, to fill the last batch up with."""
    size = np.float32(self._output_size)
    labels = {
      'image_info': np.stack(
        [size, size, np.ones_like(size), np.zeros_like(size)]
      ),
      'is_padding': True,
    }
    if self._uses_groundtruth:
      labels.update(self._padding_targets())
    if self._delivers_groundtruth:
      n = self._max_num_instances
      labels['groundtruths'] = {
        'source_id': np.int64(-1),
        'height': np.int64(self._output_size[0]),
        'width': np.int64(self._output_size[1]),
        'boxes': np.full([n, 4], -1, np.float32),
        'classes': np.full([n], -1, np.int64),
        'areas': np.full([n], -1, np.float32),
        'is_crowds': np.zeros([n], np.int32),
        self._count_key: np.zeros([1], np.int32),
      }
    image = np.zeros(self._padded_size + (3,), self._dtype.as_numpy_dtype)
    return {'image': image, 'labels': labels}

  def finish_batch(self, batch: Tensors) -> Any:
    """What the dataset yields for a batch of elements.

    Returns:
      (images, labels) in TRAIN and EVAL, else {'images', 'labels'}.
    """
    images, labels = batch['image'], dict(batch['labels'])
    if self._is_training:
      return self._transform_images(images), labels
    labels.update(self._constant_labels(images.shape.as_list()[0]))
    if self._mode == mode_keys.EVAL:
      return images, labels
    return {'images': images, 'labels': labels}

  def _augment(
    self,
    image: tf.Tensor,
    boxes_normalized: tf.Tensor,
    classes: tf.Tensor,
    is_crowd: tf.Tensor,
    draws: tf.Tensor,
  ) -> Tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Drops crowds and changes the image before it is resized."""
    if self._skip_crowd:
      kept = tf.where(tf.logical_not(is_crowd))[:, 0]
      boxes_normalized = tf.gather(boxes_normalized, kept)
      classes = tf.gather(classes, kept)
    if self._aug_policy is not None:
      image, boxes_normalized = self._aug_policy(image, boxes_normalized)
    if self._aug_rand_hflip:
      image, boxes_normalized = tf.cond(
        draws[0] > 0.5,
        lambda: (
          tf.reverse(image, [1]),
          box_ops.flip_boxes_horizontally(boxes_normalized),
        ),
        lambda: (tf.identity(image), tf.identity(boxes_normalized)),
      )
    return image, boxes_normalized, classes

  def _targets_after_resize(
    self,
    boxes: tf.Tensor,
    classes: tf.Tensor,
    plan: preprocess_ops.ResizePlan,
  ) -> Tensors:
    boxes_scaled = box_ops.resize_and_crop_boxes(
      boxes, plan.scale, tf.constant(self._output_size, tf.float32), plan.offset
    )
    kept = box_ops.non_empty_indices(boxes_scaled)
    return self._targets(
      tf.gather(boxes_scaled, kept), tf.gather(classes, kept)
    )

  def _finish_image(
    self, image: tf.Tensor, plan: preprocess_ops.ResizePlan
  ) -> tf.Tensor:
    image = preprocess_ops.resize_crop_normalize(image, plan, self._output_size)
    # Cast first: what is padded needs no cast, and is copied at half the size.
    return preprocess_ops.pad_image(
      tf.cast(image, self._dtype), self._padded_size
    )

  def _groundtruths(self, data: Tensors, boxes: tf.Tensor) -> Tensors:
    """Groundtruth in the frame of the original image, cut or padded."""
    n = self._max_num_instances
    classes = data['groundtruth_classes']
    return {
      'source_id': tf_example_decoder.source_id_to_number(data['source_id']),
      'height': data['height'],
      'width': data['width'],
      'boxes': _cut_or_pad(boxes, n, -1),
      'classes': _cut_or_pad(classes, n, -1),
      'areas': _cut_or_pad(data['groundtruth_area'], n, -1),
      'is_crowds': _cut_or_pad(
        tf.cast(data['groundtruth_is_crowd'], tf.int32), n, 0
      ),
      self._count_key: tf.shape(classes),
    }

  def _transform_images(self, images: tf.Tensor) -> tf.Tensor:
    """Layout of training images, [N, H, W, C] to what the model undoes.

    With blocks of b pixels [H/b, W/b, N, C*b^2], or [N, H/b, W/b, C*b^2]
    without transposition; else [H, W, C, N] or unchanged.
    """
    block = self._block_size
    batch, height, width, channels = images.shape.as_list()
    if block > 1:
      images = tf.reshape(
        images,
        [batch, height // block, block, width // block, block, channels],
      )
      order = (
        [1, 3, 0, 2, 4, 5] if self._transpose_input else [0, 1, 3, 2, 4, 5]
      )
      images = tf.transpose(images, order)
      return tf.reshape(
        images, images.shape.as_list()[:3] + [channels * block**2]
      )
    if not self._transpose_input:
      return images
    # Rows as a whole: transposition of few dimensions is faster.
    images = tf.reshape(images, [batch, height, width * channels])
    images = tf.transpose(images, [1, 2, 0])
    return tf.reshape(images, [height, width, channels, batch])


def _cut_or_pad(values: tf.Tensor, length: int, padding: float) -> tf.Tensor:
  """Makes the first dimension `length`."""
  values = values[:length]
  missing = length - tf.shape(values)[0]
  paddings = [[0, missing]] + [[0, 0]] * (values.shape.ndims - 1)
  values = tf.pad(
    values, paddings, constant_values=tf.cast(padding, values.dtype)
  )
  values.set_shape([length] + values.shape.as_list()[1:])
  return values
