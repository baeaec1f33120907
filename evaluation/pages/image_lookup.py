"""Images of a data set by their ids, from a folder or from TFRecords."""

import io
import itertools
import os
from typing import Any, Callable, Dict, Iterable, Iterator, Optional, Tuple

import tensorflow.compat.v1 as tf
from PIL import Image, ImageOps

from dataloader import record_files, record_order, tf_example_decoder
from utils import errors, files

# The image of an id, None where there is none that can be read.
Lookup = Callable[[int], Optional[Image.Image]]


def lookup(
  where: str,
  annotations: Optional[Dict[str, Any]],
  wanted: Iterable[int],
  regenerate_source_id: bool = False,
) -> Lookup:
  """Returns what gives images.

  Args:
    where: a folder of image files, which go by their `file_name`, or pattern
      of TFRecords.
    annotations: in COCO's format; None if the images are not of one.
    wanted: ids of the images that are asked for.
    regenerate_source_id: whether ids are hashes of the records' images.

  Raises:
    errors.DataError: none of the images is there.
  """
  entries = _entries(annotations, wanted)
  found = _find(where, entries, regenerate_source_id)
  load = io.BytesIO
  if tf.io.gfile.isdir(where):
    load = _read

  def image(image_id: int) -> Optional[Image.Image]:
    if image_id not in found:
      return None
    entry = entries[image_id]
    try:
      picture = Image.open(load(found[image_id]))
      # Annotations are of the upright image if they have its size.
      if picture.size != (entry.get('width'), entry.get('height')):
        picture = ImageOps.exif_transpose(picture)
      return picture.convert('RGB')
    except (OSError, ValueError):
      return None

  return image


def check(
  where: str,
  annotations: Optional[Dict[str, Any]],
  wanted: Iterable[int],
  regenerate_source_id: bool = False,
) -> None:
  """Raises what `lookup` would, as soon as one image tells."""
  _find(where, _entries(annotations, wanted), regenerate_source_id, most=1)


def _entries(annotations, wanted) -> Dict[int, Dict[str, Any]]:
  images = annotations['images'] if annotations else ()
  entries = {e['id']: e for e in images}
  return {image_id: entries.get(image_id, {}) for image_id in wanted}


def _find(where, entries, regenerate_source_id, most=None) -> Dict[int, Any]:
  """Paths, or encoded images, by id; at most so many."""
  if tf.io.gfile.isdir(where):
    paths = ((i, _path(where, e.get('file_name'))) for i, e in entries.items())
    images = (pair for pair in paths if pair[1])
  else:
    images = _read_records(where, entries, regenerate_source_id)
  found = dict(itertools.islice(images, most))
  if not found:
    image_id, example = next(iter(entries.items()))
    raise errors.DataError(
      f"--images: '{where}' holds none of {len(entries)} images, such as "
      f'{errors.shown(example.get("file_name", image_id))}. Give the '
      "folder of the annotations' files, or a glob of TFRecords."
    )
  return found


def _path(folder: str, file_name: Optional[str]) -> Optional[str]:
  for ending in files.path_endings(file_name or ''):
    path = os.path.join(folder, ending)
    if file_name and tf.io.gfile.exists(path):
      return path
  return None


def _read(path: str) -> io.BytesIO:
  with tf.io.gfile.GFile(path, 'rb') as f:
    return io.BytesIO(f.read())


def _read_records(
  pattern, wanted, regenerate_source_id
) -> Iterator[Tuple[int, bytes]]:
  """Ids and encoded images."""
  features = {
    'image/encoded': tf.io.FixedLenFeature([], tf.string),
    'image/source_id': tf.io.FixedLenFeature([], tf.string, ''),
  }

  @tf.autograph.experimental.do_not_convert  # Converting takes seconds.
  def parse(record):
    parsed = tf.io.parse_single_example(record, features)
    encoded, stored = parsed['image/encoded'], parsed['image/source_id']
    if regenerate_source_id:
      stored = tf.constant('')
    source_id = tf_example_decoder.source_id(stored, encoded)
    return tf_example_decoder.source_id_to_number(source_id), encoded

  paths = record_files.find_files(pattern, '--images')
  missing = set(wanted)
  config = tf.ConfigProto(device_count={'GPU': 0})
  with tf.Graph().as_default(), tf.Session(config=config) as session:
    dataset = record_order.once(paths).map(parse, 2).prefetch(16)
    record = tf.data.make_one_shot_iterator(dataset).get_next()
    while missing:
      try:
        image_id, encoded = session.run(record)
      except tf.errors.OutOfRangeError:
        break
      except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        raise errors.DataError(
          f"--images: '{pattern}' holds no TFRecords of images "
          f'({error.message.splitlines()[0]}). Give the folder of the '
          "annotations' files, or a glob of TFRecords."
        ) from error
      if int(image_id) in missing:
        missing.remove(int(image_id))
        yield int(image_id), encoded
