"""Decoder of serialized tf.Examples."""

from typing import Dict

import tensorflow.compat.v1 as tf

from ops import image_decoding

_LABEL_KEY = 'image/object/class/label'
_MASK_KEY = 'image/object/mask'
# Messages in one another, with their fields.
_STRUCTURE = (
  ('tensorflow.Example', ['features']),
  ('tensorflow.Features', ['feature']),
  ('tensorflow.Features.FeatureEntry', ['key', 'value']),
)
_MAX_INT64 = str(2**63 - 1)


def _integer_pattern() -> str:
  """Regular expression of the decimal numbers whose size int64 can hold."""
  number = ['[0-9]{{1,{}}}'.format(len(_MAX_INT64) - 1), _MAX_INT64]
  for i, digit in enumerate(_MAX_INT64):
    if digit != '0':
      number.append(
        '{}[0-{}][0-9]{{{}}}'.format(
          _MAX_INT64[:i], int(digit) - 1, len(_MAX_INT64) - i - 1
        )
      )
  return '-?0*({})'.format('|'.join(number))


_INTEGER = _integer_pattern()


class TfExampleDecoder:
  """Parses one record.

  Args:
    regenerate_source_id: replace every source id by a hash of the encoded
      image; otherwise only empty ones are.
    include_mask: also give the instance masks, which stay encoded.
  """

  def __init__(
    self, regenerate_source_id: bool = False, include_mask: bool = False
  ):
    self._regenerate_source_id = regenerate_source_id
    self._include_mask = include_mask
    self._features = {
      'image/encoded': tf.FixedLenFeature([], tf.string),
      'image/source_id': tf.FixedLenFeature([], tf.string, ''),
    }
    for key in ('ymin', 'xmin', 'ymax', 'xmax'):
      self._features['image/object/bbox/' + key] = _list_of(tf.float32)
    self._features['image/object/area'] = _list_of(tf.float32)
    self._features['image/object/is_crowd'] = _list_of(tf.int64)
    self._features[_LABEL_KEY] = _list_of(tf.int64)
    if include_mask:
      self._features[_MASK_KEY] = _list_of(tf.string)

  def parse(self, record: tf.Tensor) -> Dict[str, tf.Tensor]:
    """Parses a record and leaves the image encoded.

    Args:
      record: scalar string, a serialized tf.Example.

    Raises, at run time, InvalidArgumentError if it is none.

    Returns:
      `encoded` (string), `source_id` (string) and the groundtruth as stored,
      each [n] or empty: `ymin`, `xmin`, `ymax`, `xmax`, `area` (float32),
      `is_crowd` (int64), `classes`, and `masks` (string) with `include_mask`.
    """
    features = tf.io.parse_single_example(
      checked_example(record), self._features
    )
    encoded = features['image/encoded']
    masks = {'masks': features[_MASK_KEY]} if self._include_mask else {}
    return {
      **masks,
      'encoded': encoded,
      'source_id': self._source_id(features['image/source_id'], encoded),
      'area': features['image/object/area'],
      'is_crowd': features['image/object/is_crowd'],
      'classes': features[_LABEL_KEY],
      **{
        key: features['image/object/bbox/' + key]
        for key in ('ymin', 'xmin', 'ymax', 'xmax')
      },
    }

  def decode(self, record: tf.Tensor) -> Dict[str, tf.Tensor]:
    """Decodes a record, without checking what is in it.

    Args:
      record: scalar string, a serialized tf.Example.

    Returns:
      A dict:
        image: uint8 [height, width, 3].
        source_id: string.
        height, width: int64, of the decoded image; stored sizes are ignored.
        groundtruth_classes: [n], 1-based.
        groundtruth_is_crowd: bool [n], all false if not stored.
        groundtruth_area: float32 [n] in pixels; of the boxes if not stored.
        groundtruth_boxes: float32 [n, 4], `[ymin, xmin, ymax, xmax]`,
          normalised to [0, 1].
        groundtruth_instance_masks_png: string [n], with `include_mask`; see
          `instance_masks.decode`.
    """
    return self.decode_parsed(self.parse(record))

  def decode_parsed(self, parsed: Dict[str, tf.Tensor]) -> Dict[str, tf.Tensor]:
    """As `decode`, from what `parse` gives."""
    image = image_decoding.decode_image(parsed['encoded'])
    height, width = tf.unstack(tf.shape(image)[:2], num=2)
    boxes = tf.stack(
      [parsed[key] for key in ('ymin', 'xmin', 'ymax', 'xmax')], axis=1
    )
    box_area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    box_area *= tf.cast(height * width, tf.float32)
    classes, is_crowd = parsed['classes'], parsed['is_crowd']
    masks = {}
    if self._include_mask:
      masks['groundtruth_instance_masks_png'] = parsed['masks']
    return {
      **masks,
      'image': image,
      'source_id': parsed['source_id'],
      'height': tf.cast(height, tf.int64),
      'width': tf.cast(width, tf.int64),
      'groundtruth_classes': classes,
      'groundtruth_is_crowd': tf.cond(
        tf.size(is_crowd) > 0,
        lambda: tf.cast(is_crowd, tf.bool),
        lambda: tf.zeros_like(classes, tf.bool),
      ),
      'groundtruth_area': tf.cond(
        tf.size(parsed['area']) > 0, lambda: parsed['area'], lambda: box_area
      ),
      'groundtruth_boxes': boxes,
    }

  def _source_id(self, stored: tf.Tensor, encoded: tf.Tensor) -> tf.Tensor:
    if self._regenerate_source_id:
      return tf.as_string(_hash(encoded))
    return source_id(stored, encoded)


def source_id(stored: tf.Tensor, encoded: tf.Tensor) -> tf.Tensor:
  """Source id of an image, or a hash of it if none, '', is stored."""
  return tf.cond(
    tf.equal(stored, ''),
    lambda: tf.as_string(_hash(encoded)),
    lambda: tf.identity(stored),
  )


def parse_labelled(
  record: tf.Tensor, key: str, label: tf.FixedLenFeature
) -> Dict[str, tf.Tensor]:
  """Parses a record of an image with one label; see `TfExampleDecoder.parse`.

  Args:
    record: scalar string, a serialized tf.Example.
    key: of the label.
    label: its feature.

  Returns:
    `encoded` and `source_id`, strings, and `label`.
  """
  texts = ('image/encoded', 'image/source_id')
  features = {text: tf.FixedLenFeature([], tf.string, '') for text in texts}
  values = tf.io.parse_single_example(
    checked_example(record), {**features, key: label}
  )
  encoded, stored = (values[text] for text in texts)
  return {
    'encoded': encoded,
    'source_id': source_id(stored, encoded),
    'label': values[key],
  }


def checked_example(record: tf.Tensor) -> tf.Tensor:
  """Returns a record, once it has the structure of a tf.Example.

  The message of TensorFlow's parser quotes the record, and Python crashes on a
  message that is not UTF-8. So what that parser splits has to be there and
  nothing else. At run time, InvalidArgumentError or DataLossError if not.
  """
  whole, checks = record, []
  for message, fields in _STRUCTURE:
    _, parts = tf.io.decode_proto(
      whole, message, fields, [tf.string] * len(fields)
    )
    parts = tf.concat(parts, axis=-1)
    length = tf.strings.length(parts)
    # A tag, and the length by seven bits a byte.
    size = length + 2
    for bits in (7, 14, 21):
      size += tf.cast(length >= 1 << bits, tf.int32)
    sizes = tf.reduce_sum(size, axis=-1)
    checks.append(tf.equal(sizes, tf.strings.length(whole)))
    before, whole = whole, parts
  # The key of an entry comes first.
  for tagged in (record, before):
    checks.append(tf.equal(tf.strings.substr(tagged, 0, 1), b'\n'))
  check = tf.debugging.Assert(
    tf.reduce_all([tf.reduce_all(each) for each in checks]),
    [
      'A record is not a tf.Example; its size in bytes is',
      tf.strings.length(record),
    ],
  )
  with tf.control_dependencies([check]):
    return tf.identity(record)


def source_id_to_number(source_id: tf.Tensor) -> tf.Tensor:
  """Numbers that stand for source ids.

  Args:
    source_id: string, any shape.

  Returns:
    int64 of the same shape. Decimal text gives its number, other text
    (a file name, for example) a hash from 0 to 2^63 - 2 that is the same on
    every machine and in every mode.
  """
  is_number = tf.strings.regex_full_match(source_id, _INTEGER)
  number = tf.strings.to_number(
    tf.where(is_number, source_id, tf.fill(tf.shape(source_id), '0')), tf.int64
  )
  return tf.where(is_number, number, _hash(source_id))


def _hash(text: tf.Tensor) -> tf.Tensor:
  return tf.strings.to_hash_bucket_fast(text, 2**63 - 1)


def _list_of(dtype: tf.DType) -> tf.FixedLenSequenceFeature:
  return tf.FixedLenSequenceFeature([], dtype, allow_missing=True)
