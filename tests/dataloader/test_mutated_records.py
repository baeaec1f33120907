"""Damaged records: learned from, or named."""

import functools
import gzip
import io
import tempfile

import numpy as np
import tensorflow.compat.v1 as tf
from hypothesis import strategies as st
from PIL import Image

from dataloader import (
  input_reader,
  record_check,
  record_contents,
  record_index,
  whole_set,
)
from evaluation import annotation_file
from executor import failures
from tests import (
  classification_set,
  golden_numbers,
  mutations,
  record_factory,
)
from utils import errors, mode_keys

_NUM_CLASSES = 4
_SIZE = [64, 64]


def _image(mode='RGB', image_format='PNG', **kwargs):
  content = io.BytesIO()
  image = Image.fromarray(record_factory.pixels()).convert(mode)
  image.save(content, image_format, **kwargs)
  return content.getvalue()


def _deep_png():
  grey = np.arange(2400).reshape([40, 60]).astype(np.uint16)
  content = io.BytesIO()
  Image.fromarray(grey, 'I;16').save(content, 'PNG')
  return content.getvalue()


_IMAGES = [
  *(_image(), _image('RGB', 'JPEG'), _image('L', 'JPEG'), _image('RGBA')),
  *(_image('P'), _image('1'), _image('L'), _image('LA'), _deep_png()),
  *(_image('CMYK', 'JPEG'), _image('RGB', 'JPEG', progressive=True)),
  *(_image('P', 'GIF'), _image('RGB', 'BMP'), _image('RGB', 'TIFF')),
  _image('P', 'GIF', save_all=True, append_images=[Image.new('P', (9, 9))]),
  *(_image('RGB', 'WEBP'), _image('L', 'BMP'), _image('1', 'BMP')),
  record_factory.encode(np.zeros([1, 1, 3], np.uint8)),
  record_factory.encode(np.zeros([1, 900, 3], np.uint8), 'JPEG'),
  record_factory.png_of_size(50000, 50000),
  record_factory.png_of_size(0, 9),
  *(b'BM', b'GIF89a', b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n', b'<svg/>', b''),
]
_IMAGE_BYTES = st.sampled_from(_IMAGES).flatmap(mutations.damaged)
_OBJECTS = {
  'boxes': [[0.1, 0.2, 0.6, 0.7], [0, 0, 1, 1]],
  'classes': [1, 3],
  'object__area': np.float32([5.0, 7.0]),
  'object__is_crowd': [0, 1],
}
_MASK = record_factory.encode(np.eye(40, 60, dtype=np.uint8) * 255)
_RECORDS = {
  'retinanet': [
    record_factory.make_record(**_OBJECTS),
    record_factory.make_record(boxes=[], classes=[]),
  ],
  'mask_rcnn': [
    record_factory.make_record(object__mask=[_MASK] * 2, **_OBJECTS),
    record_factory.with_mask(3),
  ],
  'classification': [classification_set.record(5, 1)],
}
_FLOATS = st.sampled_from(
  [0.0, -0.0, 0.5, 1.0, -0.001, 1.0005, 1.5, 1e30, 1e-40, 60.0]
  + [float('nan'), float('inf'), -float('inf')]
)
_INTS = st.sampled_from([0, 1, 3, 4, -1, 2**31, 2**63 - 1, -(2**63)])
_BYTES = _IMAGE_BYTES | st.sampled_from(
  [b'', b'\xff\xfe', b'9' * 30, b'-5', b'a\0b', 'ü'.encode(), b'1 ', b'1.0']
  + [b'x' * 10000, b'%s%d{}', b'a\nb', b'007']
)
_KINDS = {'float_list': _FLOATS, 'int64_list': _INTS, 'bytes_list': _BYTES}


@st.composite
def _records(draw, base):
  example = tf.train.Example.FromString(draw(st.sampled_from(base)))
  features = example.features.feature
  for _ in range(draw(st.integers(0, 2))):
    key = draw(st.sampled_from(sorted(features) or ['image/encoded']))
    kind = features[key].WhichOneof('kind') or 'bytes_list'
    values = getattr(features[key], kind).value
    change = draw(
      st.sampled_from(['set', 'set', 'add', 'drop', 'kind', 'remove', 'name'])
    )
    if change == 'set' and len(values):
      values[draw(st.integers(0, len(values) - 1))] = draw(_KINDS[kind])
    elif change == 'add':
      values.append(draw(_KINDS[kind]))
    elif change == 'drop' and len(values):
      del values[-1]
    elif change == 'kind':
      kind = draw(st.sampled_from(sorted(_KINDS)))
      features[key].Clear()
      getattr(features[key], kind).value.extend(
        draw(st.lists(_KINDS[kind], max_size=3))
      )
    elif change == 'remove':
      del features[key]
    else:
      features[draw(st.sampled_from(['', 'x', 'é\0']))].CopyFrom(features[key])
  return example.SerializeToString()


def _framed(inner):
  """A tf.Example, as its first bytes say, of anything."""
  length, size = b'', len(inner)
  while size > 127:
    length, size = length + bytes([size & 127 | 128]), size >> 7
  return b'\n' + length + bytes([size]) + inner


@st.composite
def _serialized(draw, base):
  record = draw(_records(base))
  change = draw(st.sampled_from([''] * 6 + ['any', 'inner', 'twice', 'more']))
  if change == 'any':
    record = draw(mutations.damaged(record))
  elif change == 'inner':
    features = tf.train.Example.FromString(record).features
    record = _framed(draw(mutations.damaged(features.SerializeToString())))
  elif change == 'twice':
    record += draw(_records(base))
  elif change == 'more':
    record += draw(st.sampled_from([b'\x12\0', b'\xff', b'\0', b'\n\0', b'x']))
  return record


_FILES = st.sampled_from(sorted(_RECORDS)).flatmap(
  lambda name: st.tuples(
    st.just(name),
    st.lists(
      st.sampled_from(_RECORDS[name]) | _serialized(_RECORDS[name]),
      min_size=1,
      max_size=3,
    ),
  )
)


def _params(name):
  parser = {'mask_rcnn': 'maskrcnn'}.get(name, name) + '_parser'
  changes = {'max_num_instances': 3, 'aug_scale_min': 0.1, 'aug_scale_max': 2.0}
  levels = {'min_level': 4, 'max_level': 5} if name == 'retinanet' else {}
  return golden_numbers.make_params(
    {
      'type': name,
      'architecture': {'num_classes': _NUM_CLASSES, **levels},
      parser: {
        'output_size': _SIZE,
        **({} if name == 'classification' else changes),
      },
    }
  )


class _Pipeline:
  """Reads files of records, for training and for evaluation."""

  def __init__(self, name):
    self.params = _params(name)
    self.contents = record_check.to_learn(self.params)
    with tf.Graph().as_default():
      self._file = tf.placeholder(tf.string, [])
      self._iterators = [
        tf.data.make_initializable_iterator(
          input_reader.InputFn('', self.params, mode).batches(
            tf.data.TFRecordDataset(self._file), 1
          )
        )
        for mode in (mode_keys.TRAIN, mode_keys.EVAL)
      ]
      self._batches = [iterator.get_next() for iterator in self._iterators]
      self._session = golden_numbers.make_session()

  def read(self, path):
    """Returns all batches of training and of evaluation."""
    read = []
    for iterator, batch in zip(self._iterators, self._batches):
      self._session.run(iterator.initializer, {self._file: path})
      try:
        while True:
          read.append(self._session.run(batch))
      except tf.errors.OutOfRangeError:
        pass
    return read


_pipeline = functools.lru_cache(maxsize=None)(_Pipeline)


def _problems(path, contents):
  whole = whole_set.Records()
  checker = record_check.RecordChecker(
    _NUM_CLASSES, on_good_record=whole.add, contents=contents
  )
  problems = list(checker.problems([path]))
  whole.objection()
  for problem in problems:
    str(problem).encode('utf-8')
  return problems


def _check(name, path):
  pipeline = _pipeline(name)

  def read():
    with failures.naming_bad_records(pipeline.params, path, pipeline.contents):
      return pipeline.read(path)

  batches = mutations.attempt(read)
  problems = _problems(path, pipeline.contents)
  # To the pipeline an end within the head of a record is that of the file.
  problems = [p for p in problems if '(its end)' not in p.reason]
  # What ends a run is what the check of the records finds, and the reverse.
  # Of masks, those of objects alone that a batch holds are decoded.
  least = [p for p in problems if 'feature image/object/mask ' not in p.reason]
  if isinstance(batches, errors.UserError):
    assert problems
  else:
    assert not least, problems
  if not problems:
    for tensor in tf.nest.flatten(batches):
      assert tensor.dtype.kind != 'f' or np.isfinite(tensor).all()


@mutations.mutated(_FILES, quick=12, thorough=200)
def test_records(example, tmp_path):
  name, records = example
  _check(name, record_factory.write_records(tmp_path / 'a', records))


_CONTENT = {}


@st.composite
def _damaged_files(draw):
  name = draw(st.sampled_from(sorted(_RECORDS)))
  if name not in _CONTENT:
    with tempfile.NamedTemporaryFile() as f:
      record_factory.write_records(f.name, _RECORDS[name])
      _CONTENT[name] = f.read()
  content = _CONTENT[name]
  change = draw(st.sampled_from(['cut', 'flip', 'more', 'gzip', 'start']))
  at = draw(st.integers(0, len(content) - 1))
  if change == 'cut':
    content = content[:at]
  elif change == 'flip':
    flipped = content[at] ^ draw(st.integers(1, 255))
    content = content[:at] + bytes([flipped]) + content[at + 1 :]
  elif change == 'more':
    content += draw(st.sampled_from([b'\0', b'\0' * 12, b'\0' * 16, b'x' * 99]))
  elif change == 'gzip':
    content = gzip.compress(content)
  else:
    content = content[at:]
  return name, content


@mutations.mutated(_damaged_files(), quick=0, thorough=200)
def test_files(example, tmp_path):
  name, content = example
  path = tmp_path / 'a'
  path.write_bytes(content)
  path = str(path)

  def look():
    params = _pipeline(name).params
    record_check.check_contents(path, params, 'key')

  mutations.attempt(look)
  try:
    record_index.count_records([path])
  except errors.DataError:
    # Of an end within the head of a record the pipeline sees nothing.
    assert _problems(path, _pipeline(name).contents) or not content
  if content:
    _check(name, path)


@mutations.mutated(_FILES, quick=4, thorough=200)
def test_annotations_of_records(example, tmp_path):
  name, records = example
  if name == 'classification':
    return
  path = record_factory.write_records(tmp_path / 'a', records)
  params = _params(name)
  include_mask = name == 'mask_rcnn'

  def read():
    with failures.naming_bad_records(
      params,
      path,
      record_contents.OBJECTS_WITH_MASKS
      if include_mask
      else record_contents.OBJECTS,
    ):
      return annotation_file.prepare(
        str(tmp_path), None, path, include_mask=include_mask
      )

  made = mutations.attempt(read)
  if not isinstance(made, errors.UserError):
    annotation_file.load_annotations(made, include_mask)
