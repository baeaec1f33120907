"""Turns TFRecords of a detector into COCO json and image files.

  python tools/records_to_coco.py --file_pattern='records/val-*.tfrecord' \\
    --label_map=records/label_map.txt --output_dir=val

writes val/instances.json and val/images/, with the very bytes of the records.
Images keep their source ids (a number stands for what is none) and their names,
as far as these are unique and a file can have them. Masks, crowds and areas are
those of the records, boxes are in pixels.
"""

import json
import os
import re
import shutil
from typing import Any, Dict, Iterator, List, Optional, Set

from absl import flags
from PIL import Image

from utils import errors, files, label_map, program

FLAGS = flags.FLAGS

flags.DEFINE_string(
  'file_pattern', None, 'Glob, or comma-separated files and globs.'
)
flags.DEFINE_string('output_dir', None, 'Local folder to make.')
flags.DEFINE_string(
  'label_map',
  None,
  'File with a line id:name for each class. By default classes are called by '
  'their ids.',
)
flags.mark_flags_as_required(['file_pattern', 'output_dir'])

_UNSAFE = re.compile(r'[^\w.,()+@ -]')
_MAX_LENGTH = 60


def safe_name(
  stated: str, image_id: int, format_name: str, taken: Set[str]
) -> str:
  """Returns a file name that any file system takes, and adds it to `taken`.

  Args:
    stated: what the record says, perhaps with folders, or ''.
    image_id: stands in names that are not unique without it.
    format_name: Pillow's, of the image.
    taken: names that there are, in lower case.
  """
  stem, ending = os.path.splitext(files.path_endings(stated)[-1])
  if Image.registered_extensions().get(ending.lower()) != format_name:
    ending = '.jpg' if format_name == 'JPEG' else '.' + format_name.lower()
  stem = _UNSAFE.sub('_', stem)[:_MAX_LENGTH].strip(' .') or str(image_id)
  while (stem + ending).lower() in taken:
    stem = f'{stem}_{image_id}'
  taken.add((stem + ending).lower())
  return stem + ending


def _read(file_pattern: str, record_paths: List[str]) -> Dict[str, Any]:
  """Returns what the records hold as a COCO dict, without file names."""
  from dataloader import record_check, record_contents
  from evaluation import record_annotations

  found = record_check.contents_of(record_paths)
  if found and found[0].label != record_contents.OBJECTS.label:
    raise errors.DataError(
      f"'{record_paths[0]}' holds {found[0].meaning}, and no boxes."
    )
  for problem in record_check.RecordChecker(2**31).problems(record_paths):
    raise errors.DataError(
      f'{problem} tools/check_records.py lists all such records.'
    )
  include_mask = any(
    feature['image/object/mask'].bytes_list.value
    for feature in _features(record_paths)
  )
  return record_annotations.read_annotations(
    file_pattern, include_mask=include_mask
  )


def _features(record_paths: List[str]) -> Iterator[Any]:
  """Yields the features of the records, in the order of `_read`."""
  import tensorflow.compat.v1 as tf

  from dataloader import record_order

  with tf.Graph().as_default(), tf.Session() as session:
    dataset = record_order.once(record_paths)
    record = tf.data.make_one_shot_iterator(dataset).get_next()
    while True:
      try:
        example = tf.train.Example.FromString(session.run(record))
      except tf.errors.OutOfRangeError:
        return
      yield example.features.feature


def _name_classes(coco: Dict[str, Any], label_map_file: Optional[str]) -> None:
  found = {category['id'] for category in coco['categories']}
  names = {class_id: str(class_id) for class_id in found}
  if label_map_file:
    names = label_map.read_label_map(label_map_file)
  if found - set(names):
    raise errors.DataError(
      f'--label_map={label_map_file} has no class {min(found - set(names))}, '
      'which the records have.'
    )
  coco['categories'] = [
    {'id': class_id, 'name': name} for class_id, name in sorted(names.items())
  ]


def _write(
  coco: Dict[str, Any], record_paths: List[str], directory: str
) -> None:
  from dataloader import image_reader

  image_dir = os.path.join(directory, 'images')
  os.makedirs(image_dir)
  taken: Set[str] = set()
  for image, feature in zip(coco['images'], _features(record_paths)):
    (encoded,) = feature['image/encoded'].bytes_list.value
    # Stereo JPEGs are JPEGs, too.
    format_name = image_reader.open_header(encoded).format.replace(
      'MPO', 'JPEG'
    )
    stated = b''.join(feature['image/filename'].bytes_list.value)
    image['file_name'] = safe_name(
      stated.decode('utf-8', 'replace'), image['id'], format_name, taken
    )
    with open(os.path.join(image_dir, image['file_name']), 'wb') as file:
      file.write(encoded)
  with open(os.path.join(directory, 'instances.json'), 'w') as file:
    json.dump(coco, file, allow_nan=False)


def convert(
  file_pattern: str, output_dir: str, label_map_file: Optional[str] = None
) -> Dict[str, Any]:
  """Writes OUTPUT_DIR/instances.json and OUTPUT_DIR/images/, or nothing.

  Args:
    file_pattern: of records of a detector.
    output_dir: local folder, which must not exist.
    label_map_file: names of the classes; by default they are their ids.

  Returns:
    What is in the json.

  Raises:
    errors.DataError: a record cannot be used, or has an unnamed class.
    errors.ConfigError: `output_dir` cannot be made.
  """
  if files.is_remote(output_dir) or os.path.lexists(output_dir):
    raise errors.ConfigError(
      f'--output_dir={output_dir}: needs a local folder that does not exist.'
    )
  from dataloader import record_files

  record_paths = record_files.find_files(file_pattern, '--file_pattern')
  coco = _read(file_pattern, record_paths)
  _name_classes(coco, label_map_file)
  parent, name = os.path.split(os.path.abspath(output_dir))
  unfinished = os.path.join(parent, f'.{name}.tmp')
  # Of a run that was killed.
  shutil.rmtree(unfinished, ignore_errors=True)
  try:
    _write(coco, record_paths, unfinished)
    os.rename(unfinished, output_dir)
  finally:
    shutil.rmtree(unfinished, ignore_errors=True)
  return coco


def main(argv: List[str]) -> None:
  del argv  # Unused.
  # Imports TensorFlow, which is quiet only if logging is set up before.
  program.quieten_tensorflow()
  coco = convert(FLAGS.file_pattern, FLAGS.output_dir, FLAGS.label_map)
  counts = [len(coco[k]) for k in ('images', 'annotations', 'categories')]
  print(
    '{} images with {} boxes of {} classes in '.format(*counts)
    + FLAGS.output_dir
  )


def _explain(error: Exception) -> Optional[errors.UserError]:
  # Imports TensorFlow.
  from executor import failures

  return failures.explain(error)


if __name__ == '__main__':
  program.run(main, _explain)
