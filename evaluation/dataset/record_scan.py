"""Contents of a whole set of records, as arrays."""

import array
import hashlib
from typing import Any, Callable, List, NamedTuple, Optional, Sequence

import numpy as np

from dataloader import (
  image_reader,
  record_contents,
  record_index,
  record_reader,
)
from utils import errors
from utils import files as file_lib

NO_CLASS = -1
# Files of a bucket of which a sample is taken.
_REMOTE_FILES = 2
# Everything but masks, which not all models read.
_KINDS = {
  **record_contents.OBJECTS.kinds,
  **record_contents.IMAGE_CLASS.kinds,
  'image/height': 'int64_list',
  'image/width': 'int64_list',
}
_SIDES = tuple(
  'image/object/bbox/' + side for side in ('ymin', 'xmin', 'ymax', 'xmax')
)


class SetContents(NamedTuple):
  """What the records of a set hold; N of them can be read, with M objects.

  Nothing says that these can be meant: boxes may be NaN and classes negative.

  Attributes:
    files: TFRecord files.
    num_records: of all files; more than were read if that was bounded, and
      None if it was and counting means reading a bucket.
    problems: records that cannot be read; they are not among the N.
    file_indices: int32 [N], of `files`.
    record_indices: int32 [N], positions in these files.
    source_ids: N texts, as stored.
    hashes: uint64 [N], of the encoded images.
    sizes: int32 [N, 2], height and width of the images by their heads, as
      stored, which EXIF may turn; 0 where it is no image.
    stated_sizes: int32 [N, 2], as `image/height` and `image/width` say; 0
      without.
    formats: N texts, format and mode of Pillow, such as 'JPEG CMYK'; '' where
      it is no image.
    labels: int64 [N], class of the whole image; NO_CLASS without.
    boxes: float32 [M, 4], normalised `[ymin, xmin, ymax, xmax]`.
    classes: int64 [M].
    is_crowd: bool [M].
    image_indices: int32 [M], of the N, ascending.
  """

  files: Sequence[str]
  num_records: Optional[int]
  problems: List[record_reader.Problem]
  file_indices: np.ndarray
  record_indices: np.ndarray
  source_ids: List[str]
  hashes: np.ndarray
  sizes: np.ndarray
  stated_sizes: np.ndarray
  formats: List[str]
  labels: np.ndarray
  boxes: np.ndarray
  classes: np.ndarray
  is_crowd: np.ndarray
  image_indices: np.ndarray

  @property
  def num_images(self) -> int:
    """Records that were read, without those that cannot be."""
    return len(self.source_ids)

  @property
  def is_whole(self) -> bool:
    """Whether no record was left out because of `most`."""
    if self.num_records is None:
      return False
    return self.num_images + len(self.problems) >= self.num_records

  @property
  def counts(self) -> np.ndarray:
    """int64 [N], objects of each image."""
    return np.bincount(self.image_indices, minlength=self.num_images)

  @property
  def box_sizes(self) -> np.ndarray:
    """float32 [M, 2], height and width of the boxes in pixels of the image."""
    sides = self.boxes[:, 2:] - self.boxes[:, :2]
    return sides * self.sizes[self.image_indices]


def scan(
  files: Sequence[str],
  most: Optional[int] = None,
  on_image: Callable[[bytes], None] = lambda encoded: None,
) -> SetContents:
  """Reads the records of a set, and of their images the heads.

  Args:
    files: TFRecord files; see `record_files.find_files`.
    most: about how many records to read, the first ones of files all over the
      set, or of its first files in a bucket; all if None.
    on_image: gets the encoded image of each of the N.

  Raises:
    tf.errors.OpError: a file cannot be opened.
  """
  columns = _Columns()
  indices = {name: i for i, name in enumerate(files)}
  is_remote = any(map(file_lib.is_remote, files))
  read, most_of_file = files, None
  if most:
    # A bucket takes long to open a file.
    near = files[:_REMOTE_FILES] if is_remote else files
    read, most_of_file = record_index.spread(near, most)
  for record in record_reader.RecordReader(_KINDS).read(read, most_of_file):
    if columns.add(record, indices[record.file_name]):
      (encoded,) = record.feature[record_reader.ENCODED].bytes_list.value
      on_image(encoded)
  if most and is_remote:
    return columns.contents(files, None)
  counts = record_index.count_records(files, is_strict=False)
  return columns.contents(files, sum(counts))


class _Columns:
  """Collects records."""

  def __init__(self):
    self._problems: List[record_reader.Problem] = []
    self._places = array.array('l')
    self._source_ids: List[str] = []
    self._hashes: List[bytes] = []
    self._sizes = array.array('l')
    self._stated_sizes = array.array('q')
    self._formats: List[str] = []
    self._labels = array.array('q')
    self._sides = [array.array('f') for _ in _SIDES]
    self._classes = array.array('q')
    self._is_crowd = array.array('q')
    self._counts = array.array('q')

  def add(self, record: record_reader.Record, file_index: int) -> bool:
    """Returns whether it can be read."""
    feature = record.feature
    uneven = not record.problem and record_contents.find_uneven_list(feature)
    if uneven:
      record = record.with_problem(record_reader.FEATURE, uneven)
    if record.problem:
      self._problems.append(record.problem)
      return False
    self._places.extend((file_index, record.index))
    self._source_ids.append(record.source_id)
    for key in ('image/height', 'image/width'):
      self._stated_sizes.append(_first(feature[key], 0))
    self._labels.append(
      _first(feature[record_contents.IMAGE_CLASS.label], NO_CLASS)
    )
    (encoded,) = feature[record_reader.ENCODED].bytes_list.value
    self._hashes.append(hashlib.blake2b(encoded, digest_size=8).digest())
    size, kind = (0, 0), ''
    try:
      image = image_reader.open_header(encoded)
      size, kind = image.size[::-1], f'{image.format} {image.mode}'
    except errors.DataError:
      pass  # A problem of decoding, which a set may well have some of.
    self._sizes.extend(size)
    self._formats.append(kind)
    for key, side in zip(_SIDES, self._sides):
      side.extend(feature[key].float_list.value)
    classes = feature[record_contents.OBJECTS.label].int64_list.value
    self._classes.extend(classes)
    self._is_crowd.extend(
      feature['image/object/is_crowd'].int64_list.value or [0] * len(classes)
    )
    self._counts.append(len(classes))
    return True

  def contents(
    self, files: Sequence[str], num_records: Optional[int]
  ) -> SetContents:
    places = np.array(self._places, np.int32).reshape([-1, 2])
    num_images = len(self._source_ids)
    return SetContents(
      files=list(files),
      num_records=num_records,
      problems=self._problems,
      file_indices=places[:, 0],
      record_indices=places[:, 1],
      source_ids=self._source_ids,
      hashes=np.frombuffer(b''.join(self._hashes), np.uint64),
      sizes=np.array(self._sizes, np.int32).reshape([-1, 2]),
      stated_sizes=_within_32_bits(self._stated_sizes).reshape([-1, 2]),
      formats=self._formats,
      labels=np.array(self._labels, np.int64),
      boxes=np.array(self._sides, np.float32).reshape([4, -1]).T.copy(),
      classes=np.array(self._classes, np.int64),
      is_crowd=np.array(self._is_crowd, np.int64) != 0,
      image_indices=np.repeat(
        np.arange(num_images, dtype=np.int32),
        np.array(self._counts, np.int64),
      ),
    )


def _first(feature: Any, default: int) -> int:
  values = feature.int64_list.value
  return values[0] if values else default


def _within_32_bits(values: 'array.array') -> np.ndarray:
  info = np.iinfo(np.int32)
  wide = np.array(values, np.int64)
  return np.clip(wide, info.min, info.max).astype(np.int32)
