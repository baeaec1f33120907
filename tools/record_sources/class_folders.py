"""Pictures in one folder a class."""

import os
from typing import Dict, Iterator, Optional, Tuple

import tensorflow.compat.v1 as tf

from tools.record_sources import annotations, folders
from tools.record_sources import report as report_lib
from utils import errors
from utils import label_map as label_map_lib

_FLAG = '--classification_dir'
# What also lies in folders of pictures.
_NO_PICTURES = ('.csv', '.db', '.ini', '.json', '.md', '.txt', '.xml')


def read_class_folders(
  directory: str,
  report: report_lib.Report,
  label_map: Optional[Dict[int, str]] = None,
) -> annotations.AnnotatedSet:
  """Lists DIRECTORY/CLASS/PICTURE.

  Args:
    directory: folder with a folder for each class.
    report: receives what is neither.
    label_map: class ids by name. Default: the names of the folders, in
      alphabetical order, from 1.

  Returns:
    All files that may be pictures. Of two folders whose names differ in white
    space only, the classes are one.

  Raises:
    errors.DataError: a folder cannot be read, or holds no folder.
  """
  class_dirs = [
    name for name, is_folder in _entries(directory, '', report) if is_folder
  ]
  if not class_dirs:
    raise errors.DataError(
      f'{_FLAG}={directory}: there is no folder in it. It has to hold one '
      'folder of pictures for each class.'
    )
  names = {folder: label_map_lib.clean_name(folder) for folder in class_dirs}
  first: Dict[str, str] = {}
  for class_name in sorted(set(names.values())):
    other = first.setdefault(class_name.lower(), class_name)
    if other != class_name:
      report.add('similar_folder', class_name, other)
  if label_map is None:
    label_map = dict(enumerate(sorted(set(names.values())), 1))

  images = []
  for folder, class_name in names.items():
    if class_name not in label_map.values():
      report.add('unknown_folder', folder)
      continue
    for name, is_folder in _entries(directory, folder, report):
      file_name = f'{folder}/{name}'
      if is_folder:
        report.add('folder_in_class', file_name)
        continue
      images.append(
        annotations.AnnotatedImage(
          source_id=len(images) + 1,
          file_name=file_name,
          path=os.path.join(directory, folder, name),
          boxes=[],
          class_name=class_name,
        )
      )
  return annotations.AnnotatedSet(images, label_map)


def _entries(
  directory: str, folder: str, report: report_lib.Report
) -> Iterator[Tuple[str, bool]]:
  """Yields names and whether they are folders, of what may be of use."""
  path = os.path.join(directory, folder)
  for name in folders.list_folder(path, _FLAG):
    is_folder = tf.io.gfile.isdir(os.path.join(path, name))
    file_name = os.path.join(folder, name)
    if name.startswith('.') or (
      not is_folder and name.lower().endswith(_NO_PICTURES)
    ):
      report.add('no_picture', file_name)
    elif not folder and not is_folder:
      report.add('file_without_class', file_name)
    else:
      yield name, is_folder
