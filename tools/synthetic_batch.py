"""A batch of generated training images, as the input pipeline delivers it."""

import io
import json
import os
import tempfile
from typing import Any, Dict, Tuple

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image

from configs import params_dict
from dataloader import image_reader, input_reader, record_contents
from tools import demo_data
from tools.record_sources import annotations, detection_records
from utils import mode_keys

# By what the input depends on: programs and tests make many.
_batches: Dict[str, Any] = {}


def make(params: Any, batch_size: int) -> Tuple[tf.Variable, Dict[str, Any]]:
  """Returns images and labels for a training step without data.

  Args:
    params: the whole config.
    batch_size: number of images.

  Returns:
    A float32 variable of images in the layout of the input pipeline, and
    constant labels.
  """
  images, labels = _read(params, batch_size)
  return (
    # A constant network would be computed once for all.
    tf.Variable(images.astype(np.float32), trainable=False),
    tf.nest.map_structure(tf.constant, labels),
  )


def _read(params: Any, batch_size: int) -> Tuple[np.ndarray, Dict[str, Any]]:
  # The same batch each time.
  params = params_dict.with_overrides(params, {'train.seed': 0})
  layout = {'seed': 0, 'transpose_input': params.train.transpose_input}
  settings = dict(params.as_dict(), train=layout, batch_size=batch_size)
  key = json.dumps(settings, sort_keys=True)
  if key not in _batches:
    with tempfile.TemporaryDirectory() as directory:
      path = os.path.join(directory, 'shapes.tfrecord')
      _write_record(path)
      with tf.Graph().as_default(), tf.Session() as session:
        input_fn = input_reader.InputFn(path, params, mode_keys.TRAIN)
        dataset = input_fn({'batch_size': batch_size})
        iterator = tf.data.make_initializable_iterator(dataset)
        session.run(iterator.initializer)
        _batches[key] = session.run(iterator.get_next())
  return _batches[key]


def _write_record(path: str) -> None:
  """Writes one image of shapes of one class, which is also its own."""
  image = demo_data.make_image(seed=0, number=0)
  boxes = [box._replace(class_name='shape') for box in image.boxes]
  size = demo_data.IMAGE_SIZE
  # Of the top left quarter, for models of pixels.
  label_map = np.zeros([size, size], np.uint8)
  label_map[: size // 2, : size // 2] = 1
  example, *_ = detection_records.make_entry(
    annotations.AnnotatedImage(1, 'shapes.png', path, boxes),
    image_reader.Encoded(_png(image.pixels), 'PNG', size, size),
    boxes,
    {'shape': 1},
    include_masks=True,
  )
  feature = example.features.feature
  feature['image/class/label'].int64_list.value.append(1)
  feature[record_contents.CLASS_MAP_FEATURE].bytes_list.value.append(
    _png(label_map)
  )
  with tf.io.TFRecordWriter(path) as record_writer:
    record_writer.write(example.SerializeToString())


def _png(pixels: np.ndarray) -> bytes:
  encoded = io.BytesIO()
  Image.fromarray(pixels).save(encoded, 'PNG')
  return encoded.getvalue()
