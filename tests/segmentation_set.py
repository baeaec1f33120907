"""Records of images with label maps."""

import numpy as np
import tensorflow.compat.v1 as tf

from tests import record_factory

NUM_IMAGES = 5


def label_map(height=40, width=60, seed=0):
  """uint8 [height, width]: 0, blocks of 1 and 2, and a column of 255."""
  labels = np.zeros([height, width], np.uint8)
  labels[4 + seed : 24 + seed, 10:30] = 1
  labels[20:36, 36 : 56 - seed] = 2
  labels[:, -1] = 255
  return labels


def pixels(labels, seed=0):
  """uint8 [height, width, 3] of colours that the labels have."""
  image = record_factory.pixels(*labels.shape, seed=seed) // 4
  for channel in (1, 2):
    image[labels == channel, channel] += 160
  return image


def record(source_id, labels=None, image=None, png=None):
  """A serialized tf.Example."""
  if labels is None:
    labels = label_map(seed=source_id % 4)
  if image is None:
    image = pixels(labels, source_id)
  example = tf.train.Example()
  for key, value in (
    ('image/encoded', record_factory.encode(image)),
    ('image/source_id', b'%d' % source_id),
    ('image/segmentation/class/encoded', png or record_factory.encode(labels)),
  ):
    example.features.feature[key].bytes_list.value.append(value)
  return example.SerializeToString()


def write(directory):
  """Five images, ids from 100, the last of another size; the path."""
  records = [record(100 + i) for i in range(NUM_IMAGES - 1)]
  records.append(record(104, label_map(56, 41)))
  return record_factory.write_records(directory / 'maps.tfrecord', records)
