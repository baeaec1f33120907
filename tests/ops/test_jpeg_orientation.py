"""EXIF orientations of JPEG images, read and followed within a graph."""

import io
import struct

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image, ImageOps

from ops import image_decoding, jpeg_orientation
from tests import record_factory

_PLAIN = record_factory.encode(record_factory.pixels(16, 24), 'JPEG')


def _exif(orientation, byte_order='<', others=()):
  """An EXIF segment with the tag behind others."""
  entries = [*others, (0x0112, orientation)]
  tiff = (b'II*\0' if byte_order == '<' else b'MM\0*') + struct.pack(
    byte_order + 'IH', 8, len(entries)
  )
  for tag, value in entries:
    tiff += struct.pack(byte_order + 'HHIHH', tag, 3, 1, value, 0)
  return _segment(b'\xff\xe1', b'Exif\0\0' + tiff + b'\0\0\0\0')


def _segment(marker, content):
  return marker + struct.pack('>H', len(content) + 2) + content


def _with(*segments):
  return _PLAIN[:2] + b''.join(segments) + _PLAIN[2:]


@pytest.fixture(scope='module')
def graph():
  with tf.Graph().as_default(), tf.Session() as session:
    encoded = tf.placeholder(tf.string, [])
    yield (
      session.make_callable(
        jpeg_orientation.read_orientation(encoded), [encoded]
      ),
      session.make_callable(
        image_decoding.decode_image(encoded, turn_upright=True), [encoded]
      ),
      session.make_callable(image_decoding.decode_image(encoded), [encoded]),
    )


@pytest.mark.parametrize('byte_order', '<>')
def test_images_are_turned_as_pillow_does(graph, byte_order):
  _, decode_upright, decode = graph
  for orientation in range(1, 9):
    encoded = _with(_exif(orientation, byte_order, others=[(0x010E, 5)]))
    turned = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
    assert turned.size == ((16, 24) if orientation >= 5 else (24, 16))
    stored = Image.fromarray(decode(encoded))
    stored.info['exif'] = _exif(orientation)[4:]
    np.testing.assert_array_equal(
      decode_upright(encoded), np.asarray(ImageOps.exif_transpose(stored))
    )
    np.testing.assert_array_equal(decode(encoded), decode(_PLAIN))


@pytest.mark.parametrize(
  'encoded, expected',
  [
    (_PLAIN, 1),
    (_with(_exif(0)), 1),
    (_with(_exif(9)), 1),
    (_with(_exif(6)[:-30]), 1),
    (_with(_exif(6))[:24], 1),
    (_with(_segment(b'\xff\xe0', b'JFIF\0' * 3), _exif(6)), 6),
    (_with(_segment(b'\xff\xe1', b'http://ns.adobe.com/'), _exif(8)), 8),
    (_with(*[_segment(b'\xff\xe2', b'x' * 60000)] * 2, _exif(3)), 3),
    (_with(_segment(b'\xff\xe1', b'Exif\0\0MM\0*' + b'\xff' * 40)), 1),
    (record_factory.encode(record_factory.pixels(3, 2)), 1),
    (b'', 1),
    (b'\xff\xd8\xff\xe0', 1),
    (b'\xff\xd8' + b'\xff\xe0\0\2' * 50000, 1),
  ],
)
def test_orientation_is_one_where_none_can_be_read(graph, encoded, expected):
  read, _, _ = graph
  assert read(encoded) == expected
