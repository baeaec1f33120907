"""Decoding of single records."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from dataloader import tf_example_decoder
from tests import record_factory


def _decode(record, **kwargs):
  with tf.Graph().as_default(), tf.Session() as session:
    decoder = tf_example_decoder.TfExampleDecoder(**kwargs)
    return session.run(decoder.decode(tf.constant(record)))


def test_all_fields():
  image = record_factory.pixels(40, 60)
  data = _decode(
    record_factory.make_record(
      b'17',
      record_factory.encode(image),
      [[0.1, 0.2, 0.5, 0.7], [0, 0, 1, 1]],
      [3, 1],
      object__area=[7.0, 9.0],
      object__is_crowd=np.int64([0, 1]),
    )
  )
  np.testing.assert_array_equal(data['image'], image)
  assert data['source_id'] == b'17'
  assert (data['height'], data['width']) == (40, 60)
  assert data['groundtruth_classes'].tolist() == [3, 1]
  assert data['groundtruth_is_crowd'].tolist() == [False, True]
  assert data['groundtruth_area'].tolist() == [7.0, 9.0]
  np.testing.assert_allclose(
    data['groundtruth_boxes'], [[0.1, 0.2, 0.5, 0.7], [0, 0, 1, 1]]
  )


def test_size_of_the_decoded_image_wins_and_gives_the_area():
  data = _decode(
    record_factory.make_record(height=np.int64([1000]), width=np.int64([2000]))
  )
  assert (data['height'], data['width']) == (40, 60)
  np.testing.assert_allclose(
    data['groundtruth_area'], [0.5 * 0.5 * 40 * 60], rtol=1e-5
  )
  assert data['groundtruth_is_crowd'].tolist() == [False]


def test_no_objects():
  data = _decode(record_factory.make_record(boxes=[], classes=[]))
  assert data['groundtruth_boxes'].shape == (0, 4)
  for key in ('classes', 'is_crowd', 'area'):
    assert data['groundtruth_' + key].shape == (0,)


@pytest.mark.parametrize('image_format', ['PNG', 'BMP', 'GIF', 'JPEG'])
def test_grey_images_of_every_format(image_format):
  grey = record_factory.pixels()[:, :, 0]
  encoded = record_factory.encode(grey, image_format)
  image = _decode(record_factory.make_record(encoded=encoded))['image']
  assert image.shape == (40, 60, 3)
  tolerance = 10 if image_format == 'JPEG' else 0
  np.testing.assert_allclose(
    image.astype(int), np.stack([grey] * 3, 2).astype(int), atol=tolerance
  )


def test_animated_gif_is_refused():
  frames = [record_factory.pixels(seed=i) for i in range(2)]
  encoded = record_factory.encode(
    frames[0],
    'GIF',
    save_all=True,
    append_images=[Image.fromarray(frames[1])],
  )
  with pytest.raises(tf.errors.InvalidArgumentError, match='2 frames'):
    _decode(record_factory.make_record(encoded=encoded))


def test_source_id_is_regenerated_if_empty_or_wanted():
  empty = _decode(record_factory.make_record(b''))['source_id']
  wanted = _decode(record_factory.make_record(b'5'), regenerate_source_id=True)
  assert empty == wanted['source_id']
  with tf.Graph().as_default(), tf.Session() as session:
    encoded = record_factory.encode(record_factory.pixels())
    expected = tf.strings.to_hash_bucket_fast(encoded, 2**63 - 1)
    assert int(empty) == session.run(expected)


def test_source_ids_become_numbers():
  numbers = [0, 17, -4, 2**24 + 1, 2**62 + 1, 2**63 - 1, 9220000000000000000]
  texts = [str(n) for n in numbers] + ['0012']
  names = ['000000001.jpg', '', '9223372036854775808', '1.5', '12a']
  with tf.Graph().as_default(), tf.Session() as session:
    ids, hashes = session.run(
      [
        tf_example_decoder.source_id_to_number(tf.constant(texts + names)),
        tf.strings.to_hash_bucket_fast(names, 2**63 - 1),
      ]
    )
  assert ids.dtype == np.int64
  assert ids[: len(texts)].tolist() == numbers + [12]
  assert ids[len(texts) :].tolist() == hashes.tolist()
