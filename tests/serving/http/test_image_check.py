"""Encoded images are looked at before they are decoded."""

import io

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from serving.http import image_check, request_limits
from tests import record_factory

_MAX_PIXELS = 40 * 60


def _check(value, input_type='image_bytes'):
  return image_check.check_example(value, input_type, _MAX_PIXELS)


def _gif(*frames):
  buffer = io.BytesIO()
  first, *others = [Image.fromarray(frame) for frame in frames]
  first.save(buffer, 'GIF', save_all=True, append_images=others)
  return buffer.getvalue()


@pytest.mark.parametrize('image_format', ['JPEG', 'PNG', 'GIF', 'BMP'])
def test_a_good_image_is_left_alone(image_format):
  encoded = record_factory.encode(record_factory.pixels(40, 60), image_format)
  assert _check(encoded) is encoded
  record = record_factory.make_record(encoded=encoded)
  assert _check(record, 'tf_example') is record


def test_a_stereo_photograph_is_a_jpeg():
  pixels = record_factory.pixels(40, 60)
  encoded = record_factory.encode(
    pixels, 'MPO', save_all=True, append_images=[Image.fromarray(pixels)]
  )
  assert _check(encoded) is encoded


@pytest.mark.parametrize(
  'encoded, message',
  [
    (b'', '0 bytes that came are no image'),
    (b'\xff\xd8\xff no image', 'JPEG, MPO, PNG, BMP, GIF'),
    (record_factory.encode(record_factory.pixels(), 'WEBP'), 'no image'),
    (record_factory.encode(record_factory.pixels(40, 61)), '61 x 40 pixels'),
    # Pillow alone would take its own limit for it.
    (
      record_factory.png_of_size(60000, 60000),
      '60000 x 60000 pixels .* than 2,400',
    ),
  ],
)
def test_a_bad_image_is_refused(encoded, message):
  record = record_factory.make_record(encoded=encoded)
  for value, input_type in ((encoded, 'image_bytes'), (record, 'tf_example')):
    with pytest.raises(request_limits.RequestError, match=message) as info:
      _check(value, input_type)
    assert info.value.status == 400


@pytest.mark.parametrize(
  'value', [b'', b'no example', tf.train.Example().SerializeToString()]
)
def test_what_is_no_example_is_refused(value):
  with pytest.raises(request_limits.RequestError, match='image/encoded'):
    _check(value, 'tf_example')


def test_only_the_first_frame_of_an_animation_is_fed():
  frames = [np.full([4, 6, 3], value, np.uint8) for value in (50, 200)]
  encoded = _gif(*frames)
  checked = _check(encoded)
  record = _check(record_factory.make_record(encoded=encoded), 'tf_example')
  example = tf.train.Example.FromString(record)
  assert example.features.feature['image/source_id'].bytes_list.value == [b'1']
  for image in (
    checked,
    example.features.feature['image/encoded'].bytes_list.value[0],
  ):
    with Image.open(io.BytesIO(image)) as opened:
      assert getattr(opened, 'n_frames', 1) == 1
      np.testing.assert_array_equal(np.asarray(opened), frames[0])


def test_a_broken_animation_is_refused():
  encoded = bytearray(_gif(*[record_factory.pixels(seed=i) for i in range(2)]))
  # After the header, the palette and the descriptor of the first frame.
  middle = len(encoded) // 3
  encoded[middle : middle + 200] = b'\xff' * 200
  with pytest.raises(request_limits.RequestError, match='GIF image is broken'):
    _check(bytes(encoded))
