"""Conversion to TFRecords against reading and decoding its pictures.

All cores read and decode the files of a set once, in a graph of nothing else;
`tools/create_tf_record.py` makes eight shards, json and report of them.
"""

import os
import tempfile
from typing import Any

import tensorflow.compat.v1 as tf

from ops import image_decoding
from tools.bench import turns
from tools.record_sources import annotations, conversion, report

_ROUNDS = 15
_FLOOR, _CONVERSION = 'reading and decoding', 'conversion'


def _convert(annotated: annotations.AnnotatedSet) -> None:
  with tempfile.TemporaryDirectory() as directory:
    conversion.convert({'train': annotated}, report.Report(), directory, 8)


def measure(options: Any, annotated: annotations.AnnotatedSet) -> None:
  """Prints seconds and the ratio."""
  with tf.Graph().as_default(), tf.Session() as session:
    paths = [image.path for image in annotated.images]
    dataset = tf.data.Dataset.from_tensor_slices(paths).map(
      lambda path: image_decoding.decode_image(tf.io.read_file(path)),
      os.cpu_count(),
    )
    size = dataset.reduce(0, lambda total, image: total + tf.size(image))
    results = turns.measure(
      {
        _FLOOR: turns.timed(lambda: session.run(size)),
        _CONVERSION: turns.timed(lambda: _convert(annotated)),
      },
      options.rounds or _ROUNDS,
      warm_up=1,
    )
  for name in results:
    print(f'{name} {results.median(name):.2f} s of {len(paths)} images')
  ratio = results.ratio(_CONVERSION, _FLOOR)
  print(f'{_CONVERSION} / {_FLOOR} {ratio:.2f} (at most 1.25)')
