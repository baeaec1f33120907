"""Images of every kind to pixels."""

import io

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from dataloader import image_reader
from tests import record_factory
from utils import errors

_ORIENTATION = 0x0112


@pytest.fixture(scope='module')
def decoder():
  return image_reader.Decoder(max_pixels=10_000)


def _decode(decoder, encoded, **kwargs):
  opened = decoder.open(encoded, **kwargs)
  picture = opened.decode()
  assert picture.pixels.shape[0] * picture.pixels.shape[1] == opened.num_pixels
  return picture


def _encode(image, format_name, **options):
  buffer = io.BytesIO()
  image.save(buffer, format_name, **options)
  return buffer.getvalue()


def _picture(mode='RGB'):
  pixels = record_factory.pixels(12, 20, seed=1)
  return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize('mode', ['RGB', 'L'])
def test_jpeg_has_the_pixels_of_training(decoder, mode):
  encoded = _encode(_picture(mode), 'JPEG', quality=70)
  with tf.Session() as session:
    expected = session.run(tf.image.decode_jpeg(encoded, channels=3))
  picture = _decode(decoder, encoded)
  np.testing.assert_array_equal(picture.pixels, expected)
  assert picture.note == ''


@pytest.mark.parametrize('format_name', ['PNG', 'BMP', 'TIFF', 'WEBP'])
def test_lossless_formats(decoder, format_name):
  options = {'lossless': True} if format_name == 'WEBP' else {}
  picture = _decode(decoder, _encode(_picture(), format_name, **options))
  np.testing.assert_array_equal(picture.pixels, np.array(_picture()))


def test_16_bits_are_scaled(decoder):
  values = np.array([[0, 257, 65535], [128, 129, 32896]], np.uint16)
  picture = _decode(decoder, _encode(Image.fromarray(values), 'PNG'))
  grey = np.array([[0, 1, 255], [0, 1, 128]], np.uint8)
  np.testing.assert_array_equal(picture.pixels, grey[:, :, None].repeat(3, 2))
  assert picture.note == '16 bits scaled to 8'


def test_grey_tiff_images_of_many_bits(decoder):
  ramp = np.array([[0, 257, 65535]])
  grey = np.array([[0, 1, 255]]).repeat(3, 0).T[np.newaxis]
  for values, photometric, expected in (
    (ramp.astype(np.uint16), 1, grey),
    (ramp.astype(np.int32), 1, grey),
    (np.float32(ramp / 65535), 1, grey),
    (ramp.astype(np.uint16), 0, 255 - grey),
  ):
    encoded = _encode(
      Image.fromarray(values), 'TIFF', tiffinfo={0x0106: photometric}
    )
    picture = _decode(decoder, encoded)
    np.testing.assert_array_equal(picture.pixels, expected)


def test_transparency_is_dropped(decoder):
  image = _picture('RGBA')
  image.putalpha(3)
  picture = _decode(decoder, _encode(image, 'PNG'))
  np.testing.assert_array_equal(picture.pixels, np.array(_picture()))


def test_cmyk(decoder):
  image = Image.new('CMYK', (4, 3), (255, 0, 0, 0))
  pixels = _decode(decoder, _encode(image, 'JPEG', quality=95)).pixels
  assert pixels.shape == (3, 4, 3)
  # Cyan.
  np.testing.assert_allclose(pixels[1, 1], [0, 255, 255], atol=6)


@pytest.mark.parametrize('format_name', ['JPEG', 'PNG'])
def test_exif_rotation_is_applied(decoder, format_name):
  pixels = np.zeros([8, 16, 3], np.uint8)
  pixels[:, :8] = 250
  exif = Image.Exif()
  exif[_ORIENTATION] = 6  # turned by 90 degrees to the left
  encoded = _encode(Image.fromarray(pixels), format_name, exif=exif.tobytes())
  picture = _decode(decoder, encoded)
  assert picture.pixels.shape == (16, 8, 3)
  assert picture.pixels[:7].min() > 230 and picture.pixels[9:].max() < 20
  assert picture.note == 'turned upright'


def test_tiff_images_are_turned_once(decoder):
  image = _picture()
  for orientation in range(1, 9):
    encoded = _encode(image, 'TIFF', tiffinfo={_ORIENTATION: orientation})
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    as_png = _encode(image, 'PNG', exif=exif.tobytes())
    opened = decoder.open(encoded)
    pixels = opened.decode().pixels
    np.testing.assert_array_equal(pixels, _decode(decoder, as_png).pixels)
    assert opened.size == pixels.shape[1::-1]
    assert opened.orientation == orientation


def test_records_hold_what_the_reader_sees(decoder):
  exif = Image.Exif()
  exif[_ORIENTATION] = 6
  deep = Image.fromarray(np.uint16([[0, 200], [40000, 65535]]))
  for encoded, is_kept, size, orientation in (
    (_encode(_picture(), 'JPEG'), True, (20, 12), 1),
    (_encode(_picture('L'), 'JPEG'), True, (20, 12), 1),
    (_encode(_picture(), 'PNG'), True, (20, 12), 1),
    (_encode(_picture('L'), 'PNG'), True, (20, 12), 1),
    (_encode(_picture('1'), 'PNG'), True, (20, 12), 1),
    (_encode(_picture('P'), 'PNG'), True, (20, 12), 1),
    (_encode(_picture('RGBA'), 'PNG'), True, (20, 12), 1),
    (_encode(_picture(), 'JPEG', exif=exif.tobytes()), False, (12, 20), 6),
    (_encode(_picture('CMYK'), 'JPEG'), False, (20, 12), 1),
    (_encode(deep, 'PNG'), False, (2, 2), 1),
    (_encode(_picture(), 'WEBP'), False, (20, 12), 1),
  ):
    stored = decoder.encode_for_record(encoded)
    assert (stored.data == encoded) == is_kept == (not stored.re_encoded)
    assert (stored.width, stored.height) == size
    assert stored.orientation == orientation
    np.testing.assert_array_equal(
      _decode(decoder, stored.data, as_in_training=True).pixels,
      _decode(decoder, encoded).pixels,
    )


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize(
  'mode, options',
  [('RGB', {}), ('L', {}), ('RGB', {'progressive': True, 'subsampling': 0})],
)
def test_damaged_jpegs_are_found_as_training_finds_them(decoder, mode, options):
  picture = Image.fromarray(record_factory.pixels(67, 90, seed=2)).convert(mode)
  whole = _encode(picture, 'JPEG', **options)
  random = np.random.RandomState(0)
  damaged = [whole[:length] for length in range(200, len(whole), 97)]
  for _ in range(150):
    content = bytearray(whole)
    content[random.randint(2, len(whole))] = random.randint(256)
    damaged.append(bytes(content))
  outcomes = []
  for encoded in [whole, *damaged]:
    try:
      expected = decoder.open(encoded).decode().pixels.shape[:2]
    except errors.DataError:
      expected = None
    try:
      stored = decoder.encode_for_record(encoded)
      found = (stored.height, stored.width)
    except errors.DataError:
      found = None
    assert found == expected
    outcomes.append(found)
  assert outcomes[0] == (67, 90) and outcomes.count(None) > 10


@pytest.mark.parametrize('format_name', ['JPEG', 'PNG'])
def test_records_give_the_pixels_that_training_sees(decoder, format_name):
  exif = Image.Exif()
  exif[_ORIENTATION] = 6
  encoded = _encode(_picture(), format_name, exif=exif.tobytes())
  with tf.Session() as session:
    expected = session.run(tf.image.decode_image(encoded, channels=3))
  picture = _decode(decoder, encoded, as_in_training=True)
  np.testing.assert_array_equal(picture.pixels, expected)
  assert picture.note == ''


def test_records_of_formats_that_training_cannot_read(decoder):
  encoded = _encode(_picture(), 'WEBP', lossless=True)
  picture = _decode(decoder, encoded, as_in_training=True)
  np.testing.assert_array_equal(picture.pixels, np.array(_picture()))


@pytest.mark.filterwarnings('ignore:Corrupt EXIF')
def test_files_are_read_together_but_large_ones(tmp_path):
  images = {
    'small.jpg': _encode(_picture(), 'JPEG'),
    'small.png': _encode(_picture(), 'PNG'),
    'large.jpg': _encode(Image.new('RGB', (5000, 4000)), 'JPEG'),
    'large.png': _encode(Image.new('L', (5000, 4000)), 'PNG'),
  }
  paths = [tmp_path / name for name in images]
  for path, encoded in zip(paths, images.values()):
    path.write_bytes(encoded)
  decoder = image_reader.Decoder(max_pixels=20_000_000)
  contents, shapes = zip(*decoder.read_files([str(path) for path in paths]))
  assert contents == tuple(images.values())
  # An eighth of 12 x 20, and all.
  assert shapes[0].tolist() == [2, 3, 3] and shapes[1].tolist() == [12, 20, 3]
  assert shapes[2:] == (None, None)
  for content, shape in zip(contents, shapes):
    encoded = decoder.encode_for_record(content, shape)
    assert encoded == decoder.encode_for_record(content)
    assert encoded.data == content
  paths[1].write_bytes(images['small.png'][:-40])
  with pytest.raises(tf.errors.InvalidArgumentError):
    decoder.read_files([str(path) for path in paths])


def test_damaged_metadata_do_not_matter(decoder):
  encoded = _encode(_picture(), 'JPEG', exif=b'Exif\0\0MM\0*\xff\xff\xff\xff')
  plain = _encode(_picture(), 'JPEG')
  np.testing.assert_array_equal(
    _decode(decoder, encoded).pixels, _decode(decoder, plain).pixels
  )


def test_stereo_photographs(decoder):
  pictures = [_picture(), Image.new('RGB', (20, 12))]
  encoded = _encode(
    pictures[0], 'MPO', save_all=True, append_images=pictures[1:]
  )
  assert Image.open(io.BytesIO(encoded)).format == 'MPO'
  picture = _decode(decoder, encoded)
  assert picture.note == ''
  with tf.Session() as session:
    expected = session.run(tf.image.decode_jpeg(encoded, channels=3))
  np.testing.assert_array_equal(picture.pixels, expected)


def test_palette(decoder):
  image = _picture().quantize(4)
  picture = _decode(decoder, _encode(image, 'PNG'))
  np.testing.assert_array_equal(picture.pixels, np.array(image.convert('RGB')))


def test_animation_gives_its_first_frame(decoder):
  frames = [Image.new('RGB', (5, 4), color) for color in ('red', 'blue')]
  encoded = _encode(frames[0], 'GIF', save_all=True, append_images=frames[1:])
  picture = _decode(decoder, encoded)
  np.testing.assert_array_equal(picture.pixels[0, 0], [255, 0, 0])
  assert picture.note == 'first of 2 frames'


def test_large_images_are_refused_unread(decoder):
  encoded = _encode(Image.new('L', (200, 51)), 'PNG')
  with pytest.raises(errors.DataError, match='200 x 51 .* more than 10,000'):
    # Cut short: its pixels are never looked at.
    decoder.open(encoded[:60])


@pytest.mark.parametrize(
  'encoded,message',
  [
    (b'', 'not an image'),
    (b'hello', 'not an image'),
    (_encode(_picture(), 'JPEG')[:-40], 'damaged image, or cut off'),
    (_encode(_picture(), 'PNG')[:-300], 'cannot be decoded'),
    (_encode(Image.fromarray(np.int32([[1 << 20]])), 'TIFF'), 'more than 16'),
    (_encode(Image.fromarray(np.int32([[9, 255]])), 'TIFF'), 'not clear'),
    (_encode(Image.fromarray(np.uint16([[9, 255]])), 'TIFF'), 'not clear'),
    (_encode(Image.new('F', (3, 3), 2.5), 'TIFF'), 'from 2.5 to 2.5, not'),
    (_encode(Image.new('F', (3, 3), np.nan), 'TIFF'), 'from nan to nan'),
  ],
  ids=[
    'empty',
    'text',
    'cut jpeg',
    'cut png',
    '32 bits',
    '8 or 16 bits',
    '8 or 16 bits in 16',
    'float',
    'nan',
  ],
)
def test_what_cannot_be_read(decoder, encoded, message):
  with pytest.raises(errors.DataError, match=message):
    _decode(decoder, encoded)
  with pytest.raises(errors.DataError, match=message):
    decoder.encode_for_record(encoded)
