"""Reader of image files of any kind."""

import io
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image, ImageFile

from ops import image_decoding
from utils import errors

# The sizes of images are checked here.
Image.MAX_IMAGE_PIXELS = None

ENDINGS = ('.bmp', '.gif', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
ORIENTATION_TAG = 0x0112
_PHOTOMETRIC_TAG = 0x0106
_BIT_DEPTH_OF_PNG = 24  # Its position in the file.
_DEEP_MODES = ('I', 'I;16', 'I;16B', 'I;16L', 'I;16N')
# Cameras write stereo JPEGs as MPO, which starts as a plain JPEG.
_JPEG_FORMATS = ('JPEG', 'MPO')
FORMATS_OF_TRAINING = (*_JPEG_FORMATS, 'PNG', 'BMP', 'GIF')
# Of larger JPEGs TensorFlow decodes an eighth, but not always the whole.
_MAX_SMALL = 2**26
# Of images that are decoded at a time.
_MAX_TOGETHER = 2**24
_SIZE_IN_PNG = 16  # Its position in the file.
_FORMATS_OF_RECORDS = {'JPEG': b'\xff\xd8\xff', 'PNG': b'\x89PNG'}


class UnknownFormatError(errors.DataError):
  """A file is no image, or of a format that is not read."""


class Picture(NamedTuple):
  """A decoded image.

  Attributes:
    pixels: uint8 [height, width, 3], RGB.
    note: what a person should know about the decoding, or ''.
  """

  pixels: np.ndarray
  note: str = ''


class Opened(NamedTuple):
  """An image whose header is read.

  Attributes:
    num_pixels: height times width.
    decode: reads the pixels; raises DataError if that is impossible.
    size: (width, height) of what `decode` gives, if known.
    orientation: EXIF's, 1 to 8, from the stored pixels to the upright ones.
    as_stored: the same image, not turned upright.
    is_plain: whether training, if it can decode the image at all, gets the
      pixels of `decode`.
  """

  num_pixels: int
  decode: Callable[[], Picture]
  size: Optional[Tuple[int, int]] = None
  orientation: int = 1
  as_stored: Optional[Callable[[], 'Opened']] = None
  is_plain: bool = False


class Encoded(NamedTuple):
  """What a record holds of an image.

  Attributes:
    data: JPEG or PNG whose pixels in training are those of the reader.
    format: 'JPEG' or 'PNG'.
    width: in pixels, upright.
    height: in pixels, upright.
    orientation: EXIF's, 1 to 8, of the file; `data` is upright.
    re_encoded: why `data` is not the content of the file, or ''.
  """

  data: bytes
  format: str
  width: int
  height: int
  orientation: int = 1
  re_encoded: str = ''


class Decoder:
  """Decodes images; safe to call from several threads.

  A JPEG gets the very pixels that training and evaluation see. As there,
  transparency is dropped. 16 bits and floats from 0 to 1 are scaled to 8 bits,
  and of an animation the first frame is taken.

  Args:
    max_pixels: larger images are refused before they are decoded.
    bound_name: what the user knows that bound by, if anything.
  """

  def __init__(self, max_pixels: int, bound_name: str = ''):
    self._max_pixels = max_pixels
    self._bound_name = bound_name
    with tf.Graph().as_default() as graph:
      encoded = tf.placeholder(tf.string, [])
      paths = tf.placeholder(tf.string, [None])
      fetches = [
        (image_decoding.decode_image(encoded), encoded),
        (_stored_shape(encoded), encoded),
        (tf.map_fn(_read_file, paths, (tf.string, tf.int32)), paths),
      ]
    session = tf.Session(
      graph=graph,
      # Each caller's thread does its own work.
      config=tf.ConfigProto(
        device_count={'GPU': 0}, inter_op_parallelism_threads=-1
      ),
    )
    self._decode, self._stored_shape, self._read_files = (
      session.make_callable(fetch, [feed]) for fetch, feed in fetches
    )

  def open(self, encoded: bytes, as_in_training: bool = False) -> Opened:
    """Reads the header of an image.

    Args:
      encoded: content of an image file.
      as_in_training: take the pixels as they are stored, as training does,
        whose boxes refer to them; otherwise an image that EXIF says is rotated
        is turned upright.

    Raises:
      DataError: it is no image, damaged, or too large.
    """
    image = open_header(encoded)
    width, height = image.size
    if width * height > self._max_pixels:
      raise errors.DataError(
        'too large: {} x {} pixels (width x height) are more than {:,}'
        '{}'.format(
          width,
          height,
          self._max_pixels,
          self._bound_name and f' ({self._bound_name})',
        )
      )
    turn = 1 if as_in_training else orientation(image)

    def decode() -> Picture:
      with explaining(), image:
        if _is_plain(image, as_in_training):
          pixels, notes = self._decode_as_in_training(encoded), []
        else:
          pixels, notes = _convert(image)
        if turn != 1:
          notes.append('turned upright')
        # Pillow has turned a TIFF image itself.
        if turn != 1 and image.format != 'TIFF':
          pixels = turn_upright(pixels, turn)
        return Picture(pixels, ', '.join(notes))

    return Opened(
      width * height,
      decode,
      (height, width) if turn >= 5 else (width, height),
      turn,
      lambda: self.open(encoded, as_in_training=True),
      turn == 1 and (_is_plain(image) or _is_plain_png(image, encoded)),
    )

  def read_files(
    self, paths: Sequence[str]
  ) -> List[Tuple[bytes, Optional[np.ndarray]]]:
    """Reads several files by all cores, as arguments of `encode_for_record`.

    Raises:
      tf.errors.OpError: one of them cannot be read or decoded as it is.
    """
    return [
      (encoded, shape if shape.all() else None)
      for encoded, shape in zip(*self._read_files(list(paths)))
    ]

  def encode_for_record(
    self, encoded: bytes, stored_shape: Optional[np.ndarray] = None
  ) -> Encoded:
    """Returns what training decodes to the pixels of this reader.

    These are the bytes themselves if possible, else an RGB PNG of the pixels.

    Args:
      encoded: content of an image file.
      stored_shape: by `read_files`, which takes less time.

    Raises:
      DataError: it is no image, damaged, or too large.
    """
    opened = self.open(encoded)
    stored_as = ''
    for format_name, start in _FORMATS_OF_RECORDS.items():
      if opened.orientation == 1 and encoded.startswith(start):
        stored_as = format_name
    if (
      stored_as
      and opened.is_plain
      and self._is_whole(encoded, opened, stored_shape)
    ):
      return Encoded(encoded, stored_as, *opened.size)
    picture = opened.decode()
    height, width = picture.pixels.shape[:2]
    if stored_as and self._trains_on(encoded, picture.pixels):
      return Encoded(encoded, stored_as, width, height)
    png = io.BytesIO()
    # A third of the default's time for a fifth more bytes.
    Image.fromarray(picture.pixels).save(png, 'PNG', compress_level=3)
    image = open_header(encoded)
    reason = f'{image.format} {image.mode}'
    if picture.note:
      reason += ', ' + picture.note
    return Encoded(
      png.getvalue(), 'PNG', width, height, opened.orientation, reason
    )

  def _trains_on(self, encoded: bytes, pixels: np.ndarray) -> bool:
    try:
      return np.array_equal(self._decode_as_in_training(encoded), pixels)
    except errors.DataError:
      return False

  def _is_whole(
    self, encoded: bytes, opened: Opened, shape: Optional[np.ndarray]
  ) -> bool:
    """Whether training decodes a plain image, to the size of its header."""
    is_small = opened.num_pixels <= _MAX_SMALL
    is_jpeg = encoded.startswith(_FORMATS_OF_RECORDS['JPEG'])
    scale = 8 if is_small and is_jpeg else 1
    try:
      if not is_small:
        shape = self._decode(encoded).shape
      elif shape is None:
        shape = self._stored_shape(encoded)
    except tf.errors.OpError:
      return False
    height, width, _ = shape
    return (width, height) == tuple(-(-side // scale) for side in opened.size)

  def _decode_as_in_training(self, encoded: bytes) -> np.ndarray:
    try:
      return self._decode(encoded)
    except tf.errors.OpError as error:
      raise errors.DataError('damaged image, or cut off') from error


def _stored_shape(encoded: tf.Tensor) -> tf.Tensor:
  """Shape of an image; of a JPEG, that of an eighth of it, read as a whole."""
  return tf.cond(
    tf.image.is_jpeg(encoded),
    lambda: tf.shape(tf.image.decode_jpeg(encoded, 3, ratio=8)),
    lambda: tf.shape(image_decoding.decode_image(encoded)),
  )


def _read_file(path: tf.Tensor) -> Tuple[tf.Tensor, tf.Tensor]:
  """Content and `_stored_shape`, which is 0 if that takes much memory."""
  encoded = tf.io.read_file(path)

  def shape_if_small(size, decode):
    return tf.cond(
      _num_pixels(size) <= _MAX_TOGETHER,
      lambda: tf.shape(decode()),
      lambda: tf.zeros([3], tf.int32),
    )

  def of_jpeg():
    return shape_if_small(
      tf.image.extract_jpeg_shape(encoded),
      lambda: tf.image.decode_jpeg(encoded, 3, ratio=8),
    )

  def of_png():
    size = tf.strings.substr(encoded, _SIZE_IN_PNG, 8)
    return shape_if_small(
      tf.io.decode_raw(size, tf.int32, little_endian=False),
      lambda: image_decoding.decode_image(encoded),
    )

  return encoded, tf.cond(tf.image.is_jpeg(encoded), of_jpeg, of_png)


def _num_pixels(size: tf.Tensor) -> tf.Tensor:
  """Height times width of int32 [2 or more]."""
  return tf.reduce_prod(tf.cast(size[:2], tf.int64))


class explaining:
  """Turns whatever Pillow raises into a DataError."""

  def __enter__(self):
    return self

  def __exit__(self, error_type, error, traceback):
    if not isinstance(error, Exception) or isinstance(error, errors.DataError):
      return
    if isinstance(error, Image.UnidentifiedImageError):
      raise UnknownFormatError('not an image, or of an unknown kind') from error
    # Damage can show as any exception: OSError, but also IndexError, zlib's
    # or struct's error, depending on the format.
    raise errors.DataError(f'cannot be decoded: {error}') from error


def open_header(encoded: bytes) -> Image.Image:
  """Reads the header of an image, of any size; DataError if it is none."""
  with explaining():
    return Image.open(io.BytesIO(encoded))


def orientation(image: Image.Image) -> int:
  """Returns EXIF's, 1 to 8, from the stored pixels to the upright ones."""
  try:
    value = image.getexif().get(ORIENTATION_TAG)
  except Exception:  # Damaged metadata do not spoil the pixels.
    return 1
  return value if value in range(1, 9) else 1


def turn_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
  """Turns [height, width, ...] as EXIF's orientation says."""
  if orientation >= 5:
    pixels = np.swapaxes(pixels, 0, 1)
  if orientation in (2, 3, 6, 7):
    pixels = pixels[:, ::-1]
  if orientation in (3, 4, 7, 8):
    pixels = pixels[::-1]
  return np.ascontiguousarray(pixels)


def _is_plain_png(image: ImageFile.ImageFile, encoded: bytes) -> bool:
  """Whether Pillow and TensorFlow give the same pixels."""
  return (
    image.format == 'PNG'
    and image.mode in ('RGB', 'L')
    and encoded[_BIT_DEPTH_OF_PNG] == 8
    and 'transparency' not in image.info
    and getattr(image, 'n_frames', 1) == 1
  )


def _is_plain(image: ImageFile.ImageFile, as_in_training: bool = False) -> bool:
  """Whether TensorFlow gives the pixels that are wanted."""
  if as_in_training:
    return (
      image.format in FORMATS_OF_TRAINING
      and image.mode != 'CMYK'
      and (image.format in _JPEG_FORMATS or getattr(image, 'n_frames', 1) == 1)
    )
  return image.format in _JPEG_FORMATS and image.mode in ('RGB', 'L')


def _convert(image: ImageFile.ImageFile) -> Tuple[np.ndarray, list]:
  """Returns the pixels, and notes about them."""
  notes = []
  num_frames = getattr(image, 'n_frames', 1)
  if num_frames > 1 and image.format not in _JPEG_FORMATS:
    notes.append(f'first of {num_frames} frames')
  if image.mode not in (*_DEEP_MODES, 'F'):
    return np.array(image.convert('RGB')), notes
  if image.mode == 'F':
    notes.append('floating point numbers scaled to 8 bits')
    grey = _scale_floats(image)
  else:
    notes.append('16 bits scaled to 8')
    grey = _scale_16_bits(image)
  if image.format == 'TIFF' and image.tag_v2.get(_PHOTOMETRIC_TAG) == 0:
    grey = 255 - grey  # White is zero, as in many X-ray pictures.
  return np.repeat(grey[:, :, np.newaxis], 3, axis=2), notes


def _scale_16_bits(image: Image.Image) -> np.ndarray:
  values = np.asarray(image)
  lowest, highest = values.min(), values.max()
  if lowest < 0 or highest > 65535:
    raise errors.DataError('pixels of more than 16 bits')
  # Training scales a PNG by its 16 bits, whatever is in them.
  if image.format != 'PNG' and 0 < highest <= 255:
    raise errors.DataError(
      f'pixels of 16 or 32 bits that end at {highest}: whether they mean 8 or '
      '16 is not clear'
    )
  # 65535 becomes 255.
  return np.rint(values / np.float32(257)).astype(np.uint8)


def _scale_floats(image: Image.Image) -> np.ndarray:
  values = np.asarray(image)
  if not (values.min() >= 0 and values.max() <= 1):  # Also not if NaN.
    raise errors.DataError(
      f'pixels are floating point numbers from {values.min():g} to '
      f'{values.max():g}, not from 0 to 1'
    )
  return np.rint(values * np.float32(255)).astype(np.uint8)
