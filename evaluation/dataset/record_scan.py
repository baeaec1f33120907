"""Contents of a whole set of records, as arrays."""

import hashlib
from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from dataloader import (
  image_reader,
  record_contents,
  record_index,
  record_reader,
)
from utils import errors
from utils import files as file_lib

NO_CLASS = np.iinfo(np.int64).min
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
    stated_sizes: int64 [N, 2], as `image/height` and `image/width` say; 0
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


def scan(
  files: Sequence[str],
  most: Optional[int] = None,
  on_image: Optional[Callable[[bytes], None]] = None,
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
  indices = {name: i for i, name in enumerate(files)}
  is_remote = any(map(file_lib.is_remote, files))
  read, most_of_file = files, None
  if most:
    # A bucket takes long to open a file.
    near = files[:_REMOTE_FILES] if is_remote else files
    read, most_of_file = record_index.spread(near, most)
  rows, problems = [], []
  for record in record_reader.RecordReader(_KINDS).read(read, most_of_file):
    uneven = not record.problem and record_contents.find_uneven_list(
      record.feature
    )
    if uneven:
      record = record.with_problem(record_reader.FEATURE, uneven)
    if record.problem:
      problems.append(record.problem)
      continue
    (encoded,) = record.feature[record_reader.ENCODED].bytes_list.value
    rows.append((indices[record.file_name], *_row(record, encoded)))
    if on_image:
      on_image(encoded)
  num_records = None
  if not (most and is_remote):
    num_records = sum(record_index.count_records(files, is_strict=False))
  return _contents(files, num_records, problems, rows)


def _row(record: record_reader.Record, encoded: bytes) -> Tuple[Any, ...]:
  """What `SetContents` says of a record, from `record_indices` on."""
  feature = record.feature

  def first(key, default):
    return next(iter(feature[key].int64_list.value), default)

  size, kind = (0, 0), ''
  try:
    image = image_reader.open_header(encoded)
    size, kind = image.size[::-1], f'{image.format} {image.mode}'
  except errors.DataError:
    pass  # A problem of decoding, which a set may well have some of.
  classes = feature[record_contents.OBJECTS.label].int64_list.value
  is_crowd = feature['image/object/is_crowd'].int64_list.value
  return (
    record.index,
    record.source_id,
    hashlib.blake2b(encoded, digest_size=8).digest(),
    size,
    (first('image/height', 0), first('image/width', 0)),
    kind,
    first(record_contents.IMAGE_CLASS.label, NO_CLASS),
    np.float32([[*feature[key].float_list.value] for key in _SIDES]).T,
    np.int64([*classes]),
    np.bool_([*is_crowd] or [False] * len(classes)),
  )


def _contents(
  files: Sequence[str],
  num_records: Optional[int],
  problems: List[record_reader.Problem],
  rows: List[Tuple[Any, ...]],
) -> SetContents:
  columns = zip(*rows) if rows else [()] * 11
  file_indices, record_indices, ids, hashes, sizes, *columns = columns
  stated_sizes, formats, labels, boxes, classes, is_crowd = columns
  return SetContents(
    files=list(files),
    num_records=num_records,
    problems=problems,
    file_indices=np.array(file_indices, np.int32),
    record_indices=np.array(record_indices, np.int32),
    source_ids=list(ids),
    hashes=np.frombuffer(b''.join(hashes), np.uint64),
    sizes=np.array(sizes, np.int32).reshape([-1, 2]),
    stated_sizes=np.array(stated_sizes, np.int64).reshape([-1, 2]),
    formats=list(formats),
    labels=np.array(labels, np.int64),
    boxes=np.concatenate([np.zeros([0, 4], np.float32), *boxes]),
    classes=np.concatenate([np.zeros([0], np.int64), *classes]),
    is_crowd=np.concatenate([np.zeros([0], bool), *is_crowd]),
    image_indices=np.repeat(
      np.arange(len(rows), dtype=np.int32), [len(each) for each in classes]
    ),
  )
