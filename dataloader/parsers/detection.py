"""Template of the parsers of detectors."""

import abc
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

from configs import factory
from dataloader import (
  autoaugment,
  base_parser,
  groundtruth_checks,
  object_list,
  tf_example_decoder,
)
from dataloader.autoaugment import randomness
from ops import box_ops, preprocess_ops, window_resize
from utils import mode_keys

Tensors = base_parser.Tensors

# Random numbers that the augmentation of one image takes: flip, scale, y and x
# of the crop, two words of the policy's seed.
_NUM_DRAWS = 6
_CROP_DRAWS, _SEED_DRAWS = slice(1, 4), slice(4, 6)

# An image policy: (image, boxes_normalized) to both, augmented.
Policy = Callable[[tf.Tensor, tf.Tensor], Tuple[tf.Tensor, tf.Tensor]]


class DetectionParser(base_parser.Parser):
  """Template: image, objects and groundtruth of a detector.

  A subclass says which targets its model learns. What belongs to each object
  besides box and class, such as an instance mask, travels beside these: see
  `beside`.

  Args:
    stride: the sides of the padded image are multiples of it.
    num_classes: number of classes including the background, 0.
    aug_rand_hflip: mirror every second training image.
    aug_scale_range: (min, max) of the scale jitter in training.
    aug_policy: further augmentation of training images, before all other.
    skip_crowd_during_training: drop crowd boxes in training.
    max_num_instances: the groundtruth lists of EVAL and PREDICT_WITH_GT are
      cut or padded to this length.
    decoder: of the records.
    **kwargs: of `Parser`.

  Attributes:
    beside: (dtype, shape) by name of what the decoder gives for each object
      beside box and class, [n, *shape], and what `_targets` gets.
  """

  num_draws = _NUM_DRAWS
  beside: Dict[str, Tuple[tf.DType, Sequence[int]]] = {}

  def __init__(
    self,
    stride: int,
    num_classes: int,
    aug_rand_hflip: bool = False,
    aug_scale_range: Tuple[float, float] = (1.0, 1.0),
    aug_policy: Optional[Policy] = None,
    skip_crowd_during_training: bool = True,
    max_num_instances: int = 100,
    decoder: Optional[tf_example_decoder.TfExampleDecoder] = None,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._padded_size = preprocess_ops.padded_size(self.output_size, stride)
    self._num_classes = num_classes
    self._aug_rand_hflip = aug_rand_hflip
    self._aug_scale_range = tuple(aug_scale_range)
    self._aug_policy = aug_policy
    self._skip_crowd = skip_crowd_during_training
    self._max_num_instances = max_num_instances
    self._decoder = decoder or tf_example_decoder.TfExampleDecoder()
    self._uses_groundtruth = self._mode != mode_keys.PREDICT
    self._delivers_groundtruth = self._mode in (
      mode_keys.EVAL,
      mode_keys.PREDICT_WITH_GT,
    )
    if self._delivers_groundtruth:
      self.max_objects = max_num_instances
    self._count_key = (
      'num_groundtruths' if self._mode == mode_keys.EVAL else 'num_detections'
    )

  @abc.abstractmethod
  def _targets(
    self,
    boxes_scaled: tf.Tensor,
    objects: object_list.ObjectList,
    batch: Tensors,
  ) -> Tensors:
    """Targets of a batch.

    Args:
      boxes_scaled: float32 [n, 4], the boxes of all images, pixels of the
        padded image, none empty.
      objects: all else that is known of these n objects.
      batch: what `process` made of the images, together; outside of training
        `is_padding`, bool [batch], marks images that fill up the last batch
        and that no loss may count.
    """

  def _constant_labels(self, batch_size: int) -> Tensors:
    """Labels that do not depend on the image, outside training."""
    del batch_size
    return {}

  def parse_record(self, record: tf.Tensor) -> Tensors:
    return self._decoder.parse(record)

  def decode(self, parsed: Tensors) -> Tensors:
    """Decodes the image; see `TfExampleDecoder.decode`."""
    return self._decoder.decode_parsed(parsed)

  def process(
    self, data: Tensors, draws: Optional[tf.Tensor] = None
  ) -> Tensors:
    """Makes one element of the dataset; see `Parser.process`.

    Returns:
      A dict: `image` [padded height, padded width, 3], `image_info` float32
      [4, 2], `source_id` string, `objects` (ragged, see `object_list.pack`), in
      training `is_flipped` bool, else `is_padding` bool.
    """
    element = self._view(data, draws)
    # Finished first: what is padded needs no cast, and is copied at half the
    # size.
    image = self._finished(element['image'])
    return dict(
      element, image=preprocess_ops.pad_image(image, self._padded_size)
    )

  def _view(self, data: Tensors, draws: Optional[tf.Tensor]) -> Tensors:
    """As `process`, with pixels from 0 to 255, float32, that are not padded."""
    image = data['image']
    element = {'source_id': data['source_id']}
    scale_range = (1.0, 1.0)
    if self._is_training:
      scale_range = self._aug_scale_range
      if self._aug_policy is not None:
        data = self._augmented(data, draws)
        image = data['image']
      element['is_flipped'] = tf.constant(False)
      if self._aug_rand_hflip:
        element['is_flipped'] = draws[0] > 0.5
        image = tf.cond(
          element['is_flipped'],
          lambda: tf.reverse(image, [1]),
          lambda: tf.identity(image),
        )
    else:
      element['is_padding'] = tf.constant(False)
    plan = preprocess_ops.plan_resize(
      tf.cast(tf.shape(image)[:2], tf.float32),
      self.output_size,
      scale_range,
      None if draws is None else draws[_CROP_DRAWS],
    )
    fit = window_resize if self._is_training else preprocess_ops
    element['image'] = fit.resize_crop(image, plan, self.output_size)
    element['image_info'] = plan.image_info
    if self._uses_groundtruth:
      element['objects'] = object_list.pack(data, self.beside)
    return element

  def _augmented(self, data: Tensors, draws: tf.Tensor) -> Tensors:
    """Applies the policy to the image and to the boxes that are learned."""
    boxes = data['groundtruth_boxes']
    # A policy would hide what is wrong with a box from the check to come.
    takes_part = groundtruth_checks.are_good_boxes(boxes)
    if self._skip_crowd:
      takes_part &= tf.logical_not(data['groundtruth_is_crowd'])
    rows = tf.where(takes_part)
    with randomness.seeded(randomness.seed_of(draws[_SEED_DRAWS])):
      image, moved = self._aug_policy(
        data['image'], tf.gather(boxes, rows[:, 0])
      )
    boxes = tf.tensor_scatter_update(boxes, rows, moved)
    return dict(data, image=image, groundtruth_boxes=boxes)

  def padding_element(self) -> Tensors:
    size = tf.constant(self.output_size, tf.float32)
    element = {
      'source_id': tf.constant('-1'),
      'is_padding': tf.constant(True),
      'image': tf.zeros(self._padded_size + (3,), self._dtype),
      'image_info': tf.stack([size, size, tf.ones([2]), tf.zeros([2])]),
    }
    if self._uses_groundtruth:
      element['objects'] = object_list.pack_none(self.beside)
    return element

  def finish_batch(self, batch: Tensors) -> Any:
    images, image_info = batch['image'], batch['image_info']
    source_ids = tf_example_decoder.source_id_to_number(batch['source_id'])
    labels = {'image_info': image_info}
    if self._mode != mode_keys.EVAL:
      labels['source_id'] = source_ids
    if not self._is_training:
      labels['is_padding'] = batch['is_padding']
      labels.update(self._constant_labels(images.shape.as_list()[0]))
    if self._uses_groundtruth:
      if self._delivers_groundtruth:
        labels['groundtruths'] = self._groundtruths(batch)
        labels['groundtruths']['source_id'] = source_ids
        sizes = tf.cast(image_info[:, 0], tf.int64)
        labels['groundtruths']['height'] = sizes[:, 0]
        labels['groundtruths']['width'] = sizes[:, 1]
      labels.update(self._targets(*self.learned(batch), batch))
    if self._is_training:
      return self._in_layout(images), labels
    if self._mode == mode_keys.EVAL:
      return images, labels
    return {'images': images, 'labels': labels}

  def _checked_objects(self, batch: Tensors) -> object_list.ObjectList:
    """The objects to learn or to find, in the frame of the flipped image."""
    objects = object_list.unpack(
      batch['objects'], batch['image'].shape.as_list()[0]
    )
    checks = groundtruth_checks.check_objects(
      objects, batch['source_id'], self._num_classes
    )
    with tf.control_dependencies(checks):
      boxes_normalized = tf.identity(objects.boxes_normalized)
    if self._is_training:
      boxes_normalized = tf.where(
        tf.gather(batch['is_flipped'], objects.image_indices),
        box_ops.flip_boxes_horizontally(boxes_normalized),
        boxes_normalized,
      )
    objects = objects._replace(boxes_normalized=boxes_normalized)
    if self._is_training and self._skip_crowd:
      objects = object_list.keep(objects, tf.logical_not(objects.is_crowd))
    return objects

  def learned(self, batch: Tensors) -> Tuple[tf.Tensor, object_list.ObjectList]:
    """What is to be learned, or found, in the images of the model.

    Args:
      batch: what `process` made of the images, together.

    Returns:
      float32 [n, 4], boxes of all images in pixels of the padded image, none
      empty; and all else that is known of these objects.
    """
    objects = self._checked_objects(batch)
    _, sizes, scales, offsets = tf.unstack(
      tf.gather(batch['image_info'], objects.image_indices), num=4, axis=1
    )
    boxes_scaled = box_ops.resize_and_crop_boxes(
      _boxes(objects, batch), scales, sizes, offsets
    )
    is_kept = box_ops.is_not_empty(boxes_scaled)
    return (
      tf.boolean_mask(boxes_scaled, is_kept),
      object_list.keep(objects, is_kept),
    )

  def _finished(self, image: tf.Tensor) -> tf.Tensor:
    return self._to_dtype(preprocess_ops.normalize_image(image))

  def _groundtruths(self, batch: Tensors) -> Tensors:
    """Objects by image, in the frame of the original image."""
    objects = self._checked_objects(batch)

    def rows(values, padding):
      return object_list.by_image(
        objects, values, self._max_num_instances, padding
      )

    return {
      'boxes': rows(_boxes(objects, batch), -1),
      'classes': rows(tf.cast(objects.classes, tf.int64), -1),
      'areas': rows(objects.area, -1),
      'is_crowds': rows(tf.cast(objects.is_crowd, tf.int32), 0),
      self._count_key: objects.num_objects[:, tf.newaxis],
    }


def _boxes(objects: object_list.ObjectList, batch: Tensors) -> tf.Tensor:
  """In pixels of the original images."""
  sizes = tf.gather(batch['image_info'][:, 0], objects.image_indices)
  return box_ops.denormalize_boxes(objects.boxes_normalized, sizes)


def arguments(params: Any, mode: str) -> Dict[str, Any]:
  """Arguments of `DetectionParser` that every config gives alike."""
  settings = factory.parser_settings(params)
  architecture = params.architecture
  return {
    **base_parser.arguments(params, mode),
    'stride': 2**architecture.max_level,
    'num_classes': architecture.num_classes,
    'aug_rand_hflip': settings.aug_rand_hflip,
    'aug_scale_range': (settings.aug_scale_min, settings.aug_scale_max),
    'aug_policy': autoaugment.policy_from_config(
      settings.get('aug_policy', ''), architecture.parser + '.aug_policy'
    ),
    'skip_crowd_during_training': settings.skip_crowd_during_training,
    'max_num_instances': settings.max_num_instances,
    'decoder': tf_example_decoder.TfExampleDecoder(
      settings.regenerate_source_id,
      mode == mode_keys.TRAIN and architecture.get('include_mask', False),
    ),
  }
