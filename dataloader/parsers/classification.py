"""Input of classifiers: one class for each image."""

from typing import Any, Optional

import tensorflow.compat.v1 as tf

from configs import factory
from dataloader import (
  autoaugment,
  base_parser,
  parser_registry,
  record_contents,
  tf_example_decoder,
)
from dataloader.autoaugment import randomness, sub_policies
from ops import crop_windows, image_decoding, preprocess_ops
from utils import mode_keys

Tensors = base_parser.Tensors

_LABEL = record_contents.IMAGE_CLASS.label
# Of an image that fills the last batch up; no loss and no metric counts it.
_NO_CLASS = -1

# Random numbers of an image: window, flip, two words of the policy's seed.
_WINDOW_DRAWS = slice(0, crop_windows.NUM_DRAWS)
_FLIP_DRAW = crop_windows.NUM_DRAWS
_SEED_DRAWS = slice(_FLIP_DRAW + 1, _FLIP_DRAW + 3)


class ClassificationParser(base_parser.Parser):
  """Images and their classes; in training random windows of the images.

  Images are [B, h, w, 3], normalised, float32 or bfloat16; in training in the
  layout of `image_layout`. Labels (B: batch):

  | key | shape, dtype | modes |
  |---|---|---|
  | none, a plain tensor of classes | [B] int32 | TRAIN, EVAL |
  | is_padding | [B] bool | PREDICT, PREDICT_WITH_GT |
  | groundtruths | dict, see below | PREDICT_WITH_GT |

  Groundtruths: classes [B] int32, source_id [B] int64. The class of an image
  that fills up the last batch is -1.

  Args:
    num_classes: number of classes, 0 among them.
    aug_rand_hflip: mirror every second training image.
    aug_policy: further augmentation of the window, before it is resized.
    checks_images: decode whole training images just to see if they are broken.
    **kwargs: of `Parser`.
  """

  num_draws = _SEED_DRAWS.stop
  contents = record_contents.IMAGE_CLASS

  def __init__(
    self,
    num_classes: int,
    aug_rand_hflip: bool = False,
    aug_policy: Optional[sub_policies.Policy] = None,
    checks_images: bool = False,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._num_classes = num_classes
    self._aug_rand_hflip = aug_rand_hflip
    self._aug_policy = aug_policy
    self._checks_images = checks_images

  def parse_record(self, record: tf.Tensor) -> Tensors:
    parsed = tf_example_decoder.parse_labelled(
      record, _LABEL, tf.FixedLenFeature([], tf.int64, -1)
    )
    parsed['class'] = tf.saturate_cast(parsed.pop('label'), tf.int32)
    return parsed

  def decode(self, parsed: Tensors) -> Tensors:
    """Decodes the image, but in training, where `process` decodes a part."""
    data = dict(parsed)
    encoded = data['encoded']
    if not self._is_training:
      data['image'] = image_decoding.decode_image(encoded)
    elif self._checks_images:
      size = tf.size(image_decoding.decode_image(encoded))
      # What only a control dependency asks for, an optimizer leaves out.
      data['encoded'] = tf.where(size > 0, encoded, '')
    return data

  def process(
    self, data: Tensors, draws: Optional[tf.Tensor] = None
  ) -> Tensors:
    """Makes one element of the dataset; see `Parser.process`.

    Returns:
      A dict: `image` [height, width, 3], `source_id` string, `class` int32,
      `is_padding` bool.
    """
    if self._is_training:
      image = self._random_window(data['encoded'], draws)
    else:
      image, _ = preprocess_ops.fit_center(data['image'], self.output_size)
    return {
      'image': self._to_dtype(image),
      'source_id': data['source_id'],
      'class': data['class'],
      'is_padding': tf.constant(False),
    }

  def _random_window(self, encoded: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    image = image_decoding.decode_window(
      encoded,
      lambda size: crop_windows.random_window(size, draws[_WINDOW_DRAWS]),
    )
    if self._aug_policy is not None:
      with randomness.seeded(randomness.seed_of(draws[_SEED_DRAWS])):
        # Without objects, what a policy does to boxes has no effect.
        image, _ = self._aug_policy(image, tf.zeros([0, 4]))
    image = preprocess_ops.stretch_normalize(image, self.output_size)
    if not self._aug_rand_hflip:
      return image
    return tf.cond(
      draws[_FLIP_DRAW] > 0.5,
      lambda: tf.reverse(image, [1]),
      lambda: tf.identity(image),
    )

  def padding_element(self) -> Tensors:
    return {
      'image': tf.zeros([*self.output_size, 3], self._dtype),
      'source_id': tf.constant('-1'),
      'class': tf.constant(_NO_CLASS),
      'is_padding': tf.constant(True),
    }

  def finish_batch(self, batch: Tensors) -> Any:
    images = batch['image']
    if self._mode == mode_keys.PREDICT:
      labels = {'is_padding': batch['is_padding']}
      return {'images': images, 'labels': labels}
    with tf.control_dependencies([self._check(batch)]):
      classes = tf.identity(batch['class'])
    if self._is_training:
      return self._in_layout(images), classes
    if self._mode == mode_keys.EVAL:
      return images, classes
    source_ids = tf_example_decoder.source_id_to_number(batch['source_id'])
    labels = {
      'is_padding': batch['is_padding'],
      'groundtruths': {'classes': classes, 'source_id': source_ids},
    }
    return {'images': images, 'labels': labels}

  def _check(self, batch: Tensors) -> tf.Operation:
    """Raises InvalidArgumentError for the first class that there is not."""
    classes = batch['class']
    is_good = (classes >= 0) & (classes < self._num_classes)
    is_good |= batch['is_padding']

    def fail():
      first = tf.where(tf.logical_not(is_good))[0, 0]
      return tf.debugging.Assert(
        False,
        [
          f'{_LABEL} is absent (-1) or outside of 0 to '
          f'{self._num_classes - 1} (architecture.num_classes '
          f'{self._num_classes}):',
          tf.gather(classes, first),
          'in the image with source id',
          tf.gather(batch['source_id'], first),
        ],
      )

    return tf.cond(tf.reduce_all(is_good), tf.no_op, fail)


@parser_registry.register_parser('classification_parser')
def from_params(params: Any, mode: str) -> ClassificationParser:
  """Builds the parser from the whole config."""
  settings = factory.parser_settings(params)
  architecture = params.architecture
  return ClassificationParser(
    num_classes=architecture.num_classes,
    aug_rand_hflip=settings.aug_rand_hflip,
    aug_policy=autoaugment.policy_from_config(
      settings.aug_policy, architecture.parser + '.aug_policy'
    ),
    checks_images=params.train.skip_broken_images,
    **base_parser.arguments(params, mode),
  )
