"""Makes TFRecords for tests."""

import io
import struct
import zlib

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image


def pixels(height=40, width=60, seed=0):
  """uint8 [height, width, 3] of smooth colours."""
  rng = np.random.RandomState(seed)
  small = Image.fromarray(rng.randint(0, 256, (4, 5, 3)).astype(np.uint8))
  return np.asarray(small.resize((width, height), Image.BILINEAR))


def encode(image, image_format='PNG', **kwargs):
  buffer = io.BytesIO()
  Image.fromarray(image).save(buffer, image_format, **kwargs)
  return buffer.getvalue()


def png_of_size(width, height):
  """A PNG of a few bytes that claims to be large."""

  def chunk(kind, content):
    return (
      struct.pack('>I', len(content))
      + kind
      + content
      + struct.pack('>I', zlib.crc32(kind + content))
    )

  return (
    b'\x89PNG\r\n\x1a\n'
    + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
    + chunk(b'IDAT', zlib.compress(b'\0'))
    + chunk(b'IEND', b'')
  )


def _feature(values):
  if isinstance(values, bytes):
    values = [values]
  if len(values) and isinstance(values[0], bytes):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
  if np.asarray(values).dtype.kind == 'i':
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
  return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def make_record(
  source_id=b'1',
  encoded=None,
  boxes=((0.1, 0.2, 0.6, 0.7),),
  classes=(1,),
  **features,
):
  """A serialized tf.Example; `features` by name, without 'image/'."""
  boxes = np.float32(boxes).reshape([-1, 4])
  content = {
    'encoded': encode(pixels()) if encoded is None else encoded,
    'source_id': source_id,
    'object/class/label': np.int64(classes),
  }
  for i, side in enumerate(('ymin', 'xmin', 'ymax', 'xmax')):
    content['object/bbox/' + side] = boxes[:, i]
  content.update({k.replace('__', '/'): v for k, v in features.items()})
  return tf.train.Example(
    features=tf.train.Features(
      feature={'image/' + k: _feature(v) for k, v in content.items()}
    )
  ).SerializeToString(deterministic=True)


def with_mask(number):
  """A record of one object, with a mask; `number` is its id and its image."""
  mask = np.zeros([40, 60], np.uint8)
  mask[4:24, 12:42] = 255
  return make_record(
    source_id=str(number).encode(),
    encoded=encode(pixels(seed=number)),
    object__mask=[encode(mask)],
  )


def write_records(path, records):
  """Writes serialized records; returns the path as text."""
  with tf.io.TFRecordWriter(str(path)) as writer:
    for record in records:
      writer.write(record)
  return str(path)
