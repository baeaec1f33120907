"""Input of the classifier: the class of the first object of an image."""

import tensorflow.compat.v1 as tf

from configs import factory
from dataloader import base_parser, parser_registry, tf_example_decoder
from ops import preprocess_ops
from utils import mode_keys


class ColourParser(base_parser.Parser):
  def __init__(self, mode, output_size):
    super().__init__(mode, output_size)
    self._decoder = tf_example_decoder.TfExampleDecoder()

  def parse_record(self, record):
    return self._decoder.parse(record)

  def decode(self, parsed):
    return self._decoder.decode_parsed(parsed)

  def process(self, data, draws=None):
    plan = preprocess_ops.plan_resize(
      tf.cast(tf.shape(data['image'])[:2], tf.float32), self.output_size
    )
    image = preprocess_ops.resize_crop_normalize(
      data['image'], plan, self.output_size
    )
    return {
      'image': preprocess_ops.pad_image(image, self.output_size),
      'image_info': plan.image_info,
      'class': tf.cast(data['groundtruth_classes'][0], tf.int32),
      'is_padding': tf.constant(False),
    }

  def padding_element(self):
    return {
      'image': tf.zeros([*self.output_size, 3]),
      'image_info': tf.zeros([4, 2]),
      'class': tf.constant(0),
      'is_padding': tf.constant(True),
    }

  def finish_batch(self, batch):
    images = batch.pop('image')
    if self._mode in (mode_keys.TRAIN, mode_keys.EVAL):
      return images, batch
    return {'images': images, 'labels': batch}


@parser_registry.register_parser('colour_parser')
def from_params(params, mode):
  return ColourParser(mode, factory.parser_settings(params).output_size)
