"""Records to read where there are none: smooth colours, like photographs."""

import os
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

NUM_RECORDS = 32
HEIGHT, WIDTH = 480, 640  # pixels; most images of COCO
_CELLS = (24, 32)  # of colour, which make a JPEG about as large as a photo's
_NUM_BOXES = 7  # COCO's mean


def write(directory: str) -> str:
  """Writes one TFRecord file; returns its path."""
  path = os.path.join(directory, 'sample.tfrecord')
  rng = np.random.RandomState(0)
  with tf.Graph().as_default(), tf.Session() as session:
    cells = tf.placeholder(tf.float32, _CELLS + (3,))
    image = tf.image.resize_bicubic(cells[tf.newaxis], [HEIGHT, WIDTH])[0]
    image += tf.random.normal(tf.shape(image), stddev=8.0, seed=0)
    image = tf.cast(tf.clip_by_value(image, 0.0, 255.0), tf.uint8)
    encoded = tf.image.encode_jpeg(image)
    with tf.io.TFRecordWriter(path) as writer:
      for number in range(NUM_RECORDS):
        jpeg = session.run(encoded, {cells: rng.uniform(0, 255, _CELLS + (3,))})
        writer.write(_example(number, jpeg, rng))
  return path


def _example(number: int, jpeg: bytes, rng: Any) -> bytes:
  corners = rng.uniform(0.0, 0.7, [_NUM_BOXES, 2])
  ends = corners + rng.uniform(0.1, 0.3, [_NUM_BOXES, 2])
  features = {
    'image/encoded': [jpeg],
    'image/source_id': [str(number).encode()],
    'image/object/class/label': [1] * _NUM_BOXES,
    'image/object/bbox/ymin': corners[:, 0],
    'image/object/bbox/xmin': corners[:, 1],
    'image/object/bbox/ymax': ends[:, 0],
    'image/object/bbox/xmax': ends[:, 1],
  }
  return tf.train.Example(
    features=tf.train.Features(
      feature={key: _feature(values) for key, values in features.items()}
    )
  ).SerializeToString()


def _feature(values: Any) -> tf.train.Feature:
  if isinstance(values[0], bytes):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
  if isinstance(values[0], int):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
  return tf.train.Feature(float_list=tf.train.FloatList(value=values))
