"""Records of images with a class each."""

import numpy as np
import tensorflow.compat.v1 as tf

from tests import record_factory

NUM_IMAGES = 7


def record(source_id, label, encoded=None):
  """A serialized tf.Example; a label of None is left out."""
  if encoded is None:
    # Of a colour that its class has, so that there is something to learn.
    pixels = record_factory.pixels(40, 60, seed=source_id) // 4
    pixels[..., np.max(label or 0) % 3] += 160
    image_format = 'JPEG' if source_id % 2 else 'PNG'
    encoded = record_factory.encode(pixels, image_format)
  example = tf.train.Example()
  feature = example.features.feature
  feature['image/encoded'].bytes_list.value.append(encoded)
  feature['image/source_id'].bytes_list.value.append(b'%d' % source_id)
  if label is not None:
    feature['image/class/label'].int64_list.value.extend(np.ravel(label))
  return example.SerializeToString()


def write(directory):
  """Seven images of the classes 1, 2, 3, 1, ..., ids from 100; the path."""
  return record_factory.write_records(
    directory / 'classes.tfrecord',
    [record(100 + i, 1 + i % 3) for i in range(NUM_IMAGES)],
  )


def encoded_images(path):
  """The encoded images of records, in order."""
  return [
    tf.train.Example.FromString(record)
    .features.feature['image/encoded']
    .bytes_list.value[0]
    for record in tf.io.tf_record_iterator(path)
  ]
