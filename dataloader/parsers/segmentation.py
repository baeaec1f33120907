"""Input of semantic segmentation: the class of each pixel."""

from typing import Any, Optional, Tuple

import tensorflow.compat.v1 as tf

from configs import factory
from dataloader import (
  base_parser,
  parser_registry,
  record_contents,
  tf_example_decoder,
)
from ops import image_decoding, preprocess_ops
from utils import mode_keys

Tensors = base_parser.Tensors

# Random numbers of an image: flip, scale, y and x of the crop.
_FLIP_DRAW, _CROP_DRAWS = 0, slice(1, 4)


class SegmentationParser(base_parser.Parser):
  """Images and their label maps; in training resized windows of both.

  Images are [B, h, w, 3], normalised, float32 or bfloat16; in training in the
  layout of `image_layout`. Labels (B: batch):

  | key | shape, dtype | modes |
  |---|---|---|
  | masks | [B, h, w, 1] float32, classes, or `ignore_label` | all |
  | valid_masks | [B, h, w, 1] bool, where a class counts | all |
  | image_info | [B, 4, 2] float32, see `preprocess_ops.ResizePlan` | all |
  | source_id | [B] int64 | TRAIN, PREDICT |
  | is_padding | [B] bool | all but TRAIN |
  | groundtruths | dict: masks, source_id, as above | PREDICT_WITH_GT |

  Around the image nothing counts, nor in images that fill up the last batch.

  Args:
    num_classes: number of classes, 0 among them.
    ignore_label: of pixels that do not count, also in records.
    resize_eval: outside of training, whether images are fitted into the output
      size; else those that are larger alone.
    aug_rand_hflip: mirror every second training image.
    aug_scale_range: (min, max) of the scale jitter in training.
    **kwargs: of `Parser`; `output_size` is that of label maps, too.
  """

  num_draws = _CROP_DRAWS.stop

  def __init__(
    self,
    num_classes: int,
    ignore_label: int = 255,
    resize_eval: bool = False,
    aug_rand_hflip: bool = False,
    aug_scale_range: Tuple[float, float] = (1.0, 1.0),
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self.contents = record_contents.class_map(ignore_label)
    self._num_classes = num_classes
    self._ignore_label = ignore_label
    self._enlarges = self._is_training or resize_eval
    self._flips = self._is_training and aug_rand_hflip
    self._scale_range = aug_scale_range if self._is_training else (1.0, 1.0)

  def parse_record(self, record: tf.Tensor) -> Tensors:
    label = tf.FixedLenFeature([], tf.string, '')
    return tf_example_decoder.parse_labelled(
      record, record_contents.CLASS_MAP_FEATURE, label
    )

  def decode(self, parsed: Tensors) -> Tensors:
    """Decodes the image and the label map, uint8 [height, width, 1]."""
    image = image_decoding.decode_image(parsed['encoded'])
    label = tf.image.decode_png(parsed['label'], channels=1)
    return dict(parsed, image=image, label=label)

  def process(
    self, data: Tensors, draws: Optional[tf.Tensor] = None
  ) -> Tensors:
    """Makes one element of the dataset; see `Parser.process`.

    Returns:
      A dict: `image` [height, width, 3], `label` float32 [height, width, 1],
      `image_info` float32 [4, 2], `source_id` string, `is_padding` bool.
    """
    image, label = data['image'], self._checked_label(data)
    if self._flips:
      image, label = tf.cond(
        draws[_FLIP_DRAW] > 0.5,
        lambda: (tf.reverse(image, [1]), tf.reverse(label, [1])),
        lambda: (tf.identity(image), tf.identity(label)),
      )
    plan = preprocess_ops.plan_resize(
      tf.cast(tf.shape(image)[:2], tf.float32),
      self.output_size,
      self._scale_range,
      None if draws is None else draws[_CROP_DRAWS],
      enlarges=self._enlarges,
    )
    image = preprocess_ops.resize_crop_normalize(image, plan, self.output_size)
    image = self._to_dtype(image)
    return {
      'image': preprocess_ops.pad_image(image, self.output_size),
      'label': self._fitted_label(label, plan),
      'image_info': plan.image_info,
      'source_id': data['source_id'],
      'is_padding': tf.constant(False),
    }

  def _checked_label(self, data: Tensors) -> tf.Tensor:
    label = data['label']
    of_image = ['in the image with source id', data['source_id']]
    sizes = tf.shape(data['image'])[:2], tf.shape(label)[:2]
    is_counted = tf.not_equal(label, self._ignore_label)
    largest = tf.reduce_max(tf.cast(label, tf.int32) * tf.to_int32(is_counted))
    checks = [
      tf.debugging.Assert(
        tf.reduce_all(tf.equal(*sizes)),
        ['Image and label map differ in height and width:', *sizes, *of_image],
      ),
      tf.debugging.Assert(
        largest < self._num_classes,
        [
          f'A label is above {self._num_classes - 1} (architecture.num_classes '
          f'{self._num_classes}) and not {self._ignore_label} (ignore_label):',
          largest,
          *of_image,
        ],
      ),
    ]
    with tf.control_dependencies(checks):
      return tf.identity(label)

  def _fitted_label(
    self, label: tf.Tensor, plan: preprocess_ops.ResizePlan
  ) -> tf.Tensor:
    """The label map beside an image of a plan."""
    height, width = self.output_size
    # Truncated, unlike that of the image, as trained weights know it: the last
    # row or column may be left out.
    size = tf.cast(plan.scale * plan.image_info[0], tf.int32)
    label = tf.image.resize_nearest_neighbor(
      label[tf.newaxis], tf.maximum(size, 1)
    )[0]
    y, x = tf.unstack(tf.cast(plan.offset, tf.int32), num=2)
    label = tf.to_float(label[y : y + height, x : x + width])
    below, right = tf.unstack([height, width] - tf.shape(label)[:2], num=2)
    label = tf.pad(
      label,
      [[0, below], [0, right], [0, 0]],
      constant_values=float(self._ignore_label),
    )
    label.set_shape([height, width, 1])
    return label

  def padding_element(self) -> Tensors:
    size = tf.constant(self.output_size, tf.float32)
    return {
      'image': tf.zeros([*self.output_size, 3], self._dtype),
      'label': tf.fill([*self.output_size, 1], float(self._ignore_label)),
      'image_info': tf.stack([size, size, tf.ones([2]), tf.zeros([2])]),
      'source_id': tf.constant('-1'),
      'is_padding': tf.constant(True),
    }

  def finish_batch(self, batch: Tensors) -> Any:
    images, masks = batch['image'], batch['label']
    source_ids = tf_example_decoder.source_id_to_number(batch['source_id'])
    labels = {
      'masks': masks,
      'valid_masks': tf.not_equal(masks, float(self._ignore_label)),
      'image_info': batch['image_info'],
    }
    if self._mode in (mode_keys.TRAIN, mode_keys.PREDICT):
      labels['source_id'] = source_ids
    if self._is_training:
      return self._in_layout(images), labels
    labels['is_padding'] = batch['is_padding']
    if self._mode == mode_keys.EVAL:
      return images, labels
    if self._mode == mode_keys.PREDICT_WITH_GT:
      labels['groundtruths'] = {'masks': masks, 'source_id': source_ids}
    return {'images': images, 'labels': labels}


@parser_registry.register_parser('segmentation_parser')
def from_params(params: Any, mode: str) -> SegmentationParser:
  """Builds the parser from the whole config."""
  settings = factory.parser_settings(params)
  return SegmentationParser(
    num_classes=params.architecture.num_classes,
    ignore_label=settings.ignore_label,
    resize_eval=settings.resize_eval,
    aug_rand_hflip=settings.aug_rand_hflip,
    aug_scale_range=(settings.aug_scale_min, settings.aug_scale_max),
    **base_parser.arguments(params, mode),
  )
