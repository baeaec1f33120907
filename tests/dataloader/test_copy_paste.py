"""Copy-paste: a NumPy model, pairs by position and seed, bad input."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import input_reader, parser_generator, record_check
from executor import run_check
from tests import golden_numbers, record_factory
from utils import errors, mode_keys

_M = 28
# No multiples of 32, the stride.
_SIZE = (120, 200)


def _params(**parser):
  return golden_numbers.make_params(
    {
      'type': 'mask_rcnn',
      'architecture': {
        'num_classes': 9,
        'min_level': 3,
        'max_level': 5,
        'pre_parser': 'extract_objects_parser',
      },
      'maskrcnn_parser': {
        'output_size': list(_SIZE),
        'mask_crop_size': _M,
        'max_num_instances': 8,
        'copy_paste': True,
        **parser,
      },
      'train': {'seed': 3, 'transpose_input': False},
    }
  )


def _record(seed, boxes, classes, height=90, width=130, value=255, **features):
  """Objects are ellipses in their boxes, `[ymin, xmin, ymax, xmax]`, pixels."""
  y, x = np.mgrid[:height, :width] + 0.5
  masks = []
  for ymin, xmin, ymax, xmax in boxes:
    y_part = (2 * y - ymin - ymax) / (ymax - ymin)
    x_part = (2 * x - xmin - xmax) / (xmax - xmin)
    masks.append(np.uint8(value * (y_part**2 + x_part**2 <= 1)))
  if masks:
    features['object__mask'] = [record_factory.encode(mask) for mask in masks]
  return masks, record_factory.make_record(
    encoded=record_factory.encode(record_factory.pixels(height, width, seed)),
    boxes=np.float32(boxes).reshape([-1, 4]) / np.float32([height, width] * 2),
    classes=classes,
    **features,
  )


# No side is a whole number of pixels from that of a mask.
_TARGET_BOXES = [
  (20.3, 30.4, 60.3, 90.4),  # a side of it is covered
  (36.3, 52.4, 50.3, 62.4),  # all of it is covered
  (2.3, 2.4, 14.3, 14.4),  # small, and far away
  (28.3, 70.4, 45.3, 90.4),  # little of it is left
  (70.3, 100.4, 88.3, 128.4),
]
_TARGET = _record(1, _TARGET_BOXES, [1, 2, 3, 4, 5])
_DONOR_BOX = (30, 36, 75, 110)
_DONOR = _record(2, [_DONOR_BOX], [8], 100, 120, value=1)


def _bilinear(image, y, x):
  """Values at all pairs of y and x, none of them outside."""
  y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
  y1 = np.minimum(y0 + 1, image.shape[0] - 1)
  x1 = np.minimum(x0 + 1, image.shape[1] - 1)
  ly, lx = (y - y0)[:, None], x - x0

  def between(a, b, share):
    return a + (b - a) * share

  top = between(image[y0][:, x0], image[y0][:, x1], lx)
  bottom = between(image[y1][:, x0], image[y1][:, x1], lx)
  return between(top, bottom, ly)


def _crop(mask, box):
  """As TensorFlow's crop_and_resize."""
  found = []
  for side, low, high in zip(mask.shape, box[:2], box[2:]):
    step = np.arange(_M) / (_M - 1)
    found.append((low + (high - low) * step) * (side - 1) / side)
  inside = [(v >= 0) & (v <= s - 1) for v, s in zip(found, mask.shape)]
  clipped = [np.clip(v, 0, s - 1) for v, s in zip(found, mask.shape)]
  return _bilinear(mask, *clipped) * np.outer(*inside)


class _Frame:
  """The way between an image, as it is mirrored, and what training sees."""

  def __init__(self, info, is_flipped):
    self.size, self.desired, self.scale, self.offset = np.float64(info)
    self.is_flipped = is_flipped

  def mask(self, mask):
    return np.float64(mask[:, :: -1 if self.is_flipped else 1] > 0)

  def box(self, box):
    ymin, xmin, ymax, xmax = box
    width = self.size[1]
    if self.is_flipped:
      return np.float64([ymin, width - xmax, ymax, width - xmin])
    return np.float64(box)

  def to_scaled(self, box):
    box = box * np.tile(self.scale, 2) - np.tile(self.offset, 2)
    return np.clip(box, 0, np.tile(self.desired - 1, 2))

  def to_original(self, box):
    return (box + np.tile(self.offset, 2)) / np.tile(self.scale, 2)


def _steps(to_size, from_size):
  """Rows and columns of an image that each of another one is sampled at."""
  return [
    np.arange(to, dtype=np.float32) * (np.float32(side) / np.float32(to))
    for to, side in zip(to_size, from_size)
  ]


def _model(target, donor, padded):
  """What is pasted, bool `padded`; boxes, classes, masks of all objects."""
  # In float32, where a pixel hangs on it.
  size = np.float32(donor.size)
  scaled = np.trunc(np.float32(donor.scale) * size)
  mask = donor.mask(_DONOR[0][0])
  y, x = _steps(scaled, size)
  mask_scaled = mask[np.int64(y)][:, np.int64(x)]
  top, left = donor.offset.astype(int)
  mask_scaled = mask_scaled[top : top + _SIZE[0], left : left + _SIZE[1]]
  pasted = np.zeros(padded)
  pasted[: mask_scaled.shape[0], : mask_scaled.shape[1]] = mask_scaled

  scaled = np.round(target.scale * target.size).astype(int)
  top, left = target.offset.astype(int)
  whole = np.zeros(np.maximum(scaled, padded) + [top, left], np.float32)
  whole[top : top + padded[0], left : left + padded[1]] = pasted
  steps = _steps(target.size, scaled)
  covered = _bilinear(whole[: scaled[0], : scaled[1]], *steps) == 1

  found = []
  for number, box in enumerate(_TARGET_BOXES):
    seen = target.to_scaled(target.box(box))
    if not np.all(seen[2:] > seen[:2]):
      continue
    seen = target.to_original(seen)
    visible = target.mask(_TARGET[0][number]) * ~covered
    y, x = np.nonzero(visible)
    extent = [0, 0, *target.size]
    if len(y):
      extent = [y.min(), x.min(), y.max() + 1, x.max() + 1]
    extent = target.to_original(target.to_scaled(np.float64(extent)))
    moved = np.abs(extent - seen) > 10
    if len(y) <= (300 if moved.any() else 0):
      continue
    seen = np.where(moved, extent, seen)
    scaled_box = target.to_scaled(seen)
    if np.all(scaled_box[2:] > scaled_box[:2]):
      found.append((scaled_box, number + 1, _crop(visible, seen)))
  scaled_box = donor.to_scaled(donor.box(_DONOR_BOX))
  if np.all(scaled_box[2:] > scaled_box[:2]):
    found.append((scaled_box, 8, _crop(mask, donor.to_original(scaled_box))))
  else:
    pasted[:] = 0
  return pasted > 0, found


def test_numpy_model():
  parser = parser_generator.parser_generator(
    _params(aug_scale_min=0.6, aug_scale_max=1.9), mode_keys.TRAIN
  )
  random = np.random.RandomState(4)
  seen = set()
  with tf.Graph().as_default(), tf.Session() as session:
    draws = tf.placeholder(tf.float32, [2, parser.num_draws])
    images = [
      (parser.decode(parser.parse_record(tf.constant(record))), draws[i])
      for i, (_, record) in enumerate((_TARGET, _DONOR))
    ]
    keys = ('image', 'image_info', 'is_flipped')
    alone = [{key: parser.process(*one)[key] for key in keys} for one in images]
    element = parser.process(*images[0], *images[1])
    objects = {
      name: value.flat_values for name, value in element['objects'].items()
    }
    for _ in range(20):
      below, above, image, got = session.run(
        [*alone, element['image'], objects],
        {draws: random.random_sample(draws.shape)},
      )
      frames = (
        _Frame(one['image_info'], one['is_flipped']) for one in (below, above)
      )
      pasted, expected = _model(*frames, image.shape[:2])
      np.testing.assert_array_equal(
        image, np.where(pasted[..., None], above['image'], below['image'])
      )
      classes = [class_id for _, class_id, _ in expected]
      assert got['columns'][:, 4].tolist() == classes
      for (box, _, mask), got_box, got_mask in zip(
        expected, got['boxes_scaled'], got['masks']
      ):
        np.testing.assert_allclose(got_box, box, atol=1e-3)
        np.testing.assert_allclose(got_mask, mask, atol=1e-3)
      seen |= {tuple(classes), bool(below['is_flipped'])}
  # Mirrored and not, with objects that go and others that stay.
  assert {True, False} < seen and len(seen) > 5
  assert any(isinstance(c, tuple) and 3 in c and 2 not in c for c in seen)


def _batches(dataset, count=1):
  batch = tf.data.make_one_shot_iterator(dataset).get_next()
  with tf.Session() as session:
    return [session.run(batch) for _ in range(count)]


def _stream(path, params, count, start_step=0):
  """Batches of two images of the endless training data."""
  input_fn = input_reader.InputFn(
    path, params, mode_keys.TRAIN, start_step=start_step
  )
  with tf.Graph().as_default():
    return _batches(input_fn({'batch_size': 2}), count)


def test_what_is_pasted():
  no_objects = _record(1, [], [])[1]
  boxes = [(5, 5, 25, 30), (5, 60, 40, 120), (50, 20, 85, 100)]
  several = _record(2, boxes, [1, 2, 3])[1]
  crowd = _record(2, [_DONOR_BOX], [8], object__is_crowd=[1])[1]
  # Of one column.
  thin = _record(1, [(10, 0, 50, 1)], [1], 90, 1)[1]
  pairs = [
    (_TARGET[1], no_objects),
    (_TARGET[1], crowd),
    (_TARGET[1], _DONOR[1]),
    (thin, _DONOR[1]),
    *[(no_objects, several)] * 40,
  ]

  params = _params(aug_rand_hflip=False, max_num_instances=3)
  with tf.Graph().as_default():
    below, above = (
      tf.data.Dataset.from_tensor_slices(list(each)) for each in zip(*pairs)
    )
    input_fn = input_reader.InputFn('', params, mode_keys.TRAIN)
    dataset = input_fn.batches(below, len(pairs), second=above)
    ((images, labels),) = _batches(dataset)
  classes = labels['gt_classes']
  # Without objects to paste, and crowds are none, an image stays as it is.
  np.testing.assert_array_equal(images[0], images[1])
  # The donor's 8 is cut first, once 2 and 4 have gone.
  assert classes[:3].tolist() == [[1, 2, 3], [1, 2, 3], [1, 3, 5]]
  assert np.any(images[2] != images[0])
  assert classes[3].tolist() == [1, 8, -1]
  assert labels['gt_masks'][3, 0].mean() > 0.9
  # One to all, and each of them, whatever their number.
  classes = classes[4:]
  counts = (classes > 0).sum(axis=1)
  assert set(counts) == {1, 2, 3}
  assert min(np.bincount(counts)[1:]) >= 6
  assert set(classes[:, 0][counts == 1]) == {1, 2, 3}


def test_pairs_follow_from_position_and_seed(tmp_path):
  records = [_record(i, [_DONOR_BOX], [1 + i])[1] for i in range(8)]
  path = record_factory.write_records(tmp_path / 'a', records)
  first = _stream(path, _params(), 6)
  again = _stream(path, _params(), 3, start_step=3)
  for (images, labels), (images_again, labels_again) in zip(first[3:], again):
    np.testing.assert_array_equal(images, images_again)
    np.testing.assert_array_equal(labels['gt_masks'], labels_again['gt_masks'])
  # An epoch pastes each image once, in an order of its own.
  rows = [row for _, labels in first[:4] for row in labels['gt_classes']]
  donors = [row[row > 0][-1] for row in rows]
  assert sorted(donors) == list(range(1, 9))
  assert donors != [row[0] for row in rows]


@pytest.mark.slow
def test_second_records_come_from_their_own_files_and_broken_ones_are_skipped(
  tmp_path,
):
  path = record_factory.write_records(tmp_path / 'a', [_TARGET[1]] * 3)
  broken = record_factory.make_record(encoded=b'\xff\xd8\xffbroken')
  params = _params()
  params.train.skip_broken_images = True
  params.train.pre_parser_dataset.file_pattern = record_factory.write_records(
    tmp_path / 'b', [_DONOR[1], broken, _DONOR[1]]
  )
  for _, labels in _stream(path, params, 3):
    for row in labels['gt_classes']:
      assert row[row > 0][-1] == 8 and row[0] == 1


def test_records_without_masks_are_refused_before_the_first_step(tmp_path):
  params = _params()
  path = record_factory.write_records(tmp_path / 'a', [_TARGET[1]])
  params.train.train_file_pattern = path
  assert record_check.training_pattern(params) == path
  path = record_factory.write_records(
    tmp_path / 'b', [record_factory.make_record()]
  )
  params.train.pre_parser_dataset.file_pattern = path
  with pytest.raises(errors.DataError) as info:
    run_check.check(params, trains=True, evaluates=False, checks_data=False)
  message = str(info.value)
  assert message.startswith('train.pre_parser_dataset.file_pattern: ')
  assert path in message and '0 masks for 1 objects' in message
  # The same if it shows later.
  pattern = record_check.training_pattern(params)
  error = tf.errors.InvalidArgumentError(None, None, 'differ in number')
  assert path in str(record_check.explain_failure(pattern, params, error))
  # A run that does not paste asks nothing of them.
  params.architecture.pre_parser = None
  assert record_check.training_keys(params) == ['train.train_file_pattern']


@pytest.mark.parametrize('mode', [mode_keys.EVAL, mode_keys.PREDICT_WITH_GT])
def test_other_modes_paste_nothing(mode):
  parser = parser_generator.parser_generator(_params(), mode)
  assert not parser.takes_second_record
  assert parser.padding_element()['objects'].keys() == {'columns'}
