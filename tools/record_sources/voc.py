"""Reads Pascal VOC annotations: one xml file an image.

Coordinates are taken as they stand, as torchvision's `VOCDetection` does and
as nearly every labelling tool writes them. The photos of the PASCAL VOC
challenge itself count pixels from 1 and include the last one; for those,
`one_based` moves xmin and ymin by one, as detectron2 does.
"""

import collections
import os
import re
from typing import Dict, List, Optional
from xml.etree import ElementTree

import tensorflow.compat.v1 as tf

from tools.record_sources import annotations
from tools.record_sources import report as report_lib
from utils import errors

_IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.gif', '.tif', '.tiff')
_MAX_ID = 2**63 - 1


def read_voc(
  annotation_dir: str,
  image_dir: str,
  report: report_lib.Report,
  split_file: Optional[str] = None,
  label_map: Optional[Dict[int, str]] = None,
  one_based: bool = False,
) -> annotations.AnnotatedSet:
  """Reads the boxes of a folder of Pascal VOC xml files.

  Image ids and the default label map depend on the whole folder, so that they
  agree between its splits.

  Args:
    annotation_dir: folder of the xml files.
    image_dir: folder of the images.
    report: receives what cannot be used.
    split_file: text file with the name (without suffix) of one image a line;
      words after the first are ignored. Default: all xml files.
    label_map: class ids by name. Default: the names that occur in the folder,
      in alphabetical order, from 1.
    one_based: whether coordinates start at 1 and include the last pixel.

  Returns:
    The images of the split, in its order.

  Raises:
    errors.DataError: a folder or the split file cannot be used.
  """
  stems = sorted(
    os.path.splitext(name)[0]
    for name in _list_dir(annotation_dir)
    if name.lower().endswith('.xml')
  )
  if not stems:
    raise errors.DataError(
      '{}: there is no xml file in this folder.'.format(annotation_dir)
    )
  image_names = _image_names_by_stem(image_dir)
  ids = image_ids(stems)
  wanted = _read_split(split_file, report) if split_file else stems

  trees = {}
  # Without a label map the names come from all files, also of other splits.
  for stem in wanted if label_map else stems:
    if stem not in ids:
      continue
    path = os.path.join(annotation_dir, stem + '.xml')
    try:
      with tf.io.gfile.GFile(path, 'rb') as source:
        trees[stem] = ElementTree.fromstring(source.read())
    except ElementTree.ParseError as error:
      if stem in wanted:
        report.add('unreadable_annotation', stem + '.xml', str(error))
  if label_map is None:
    label_map = _collect_names(trees.values())

  images = []
  for stem in wanted:
    if stem not in ids:
      report.add('missing_annotation', stem + '.xml')
    elif stem in trees:
      file_name = _image_name(trees[stem], stem, image_names, report)
      images.append(
        annotations.AnnotatedImage(
          source_id=ids[stem],
          file_name=file_name,
          path=os.path.join(image_dir, file_name),
          boxes=_boxes(trees[stem], file_name, one_based, report),
          width=_int_or_none(trees[stem].findtext('size/width')),
          height=_int_or_none(trees[stem].findtext('size/height')),
        )
      )
  if not split_file:
    for stem in sorted(set(image_names) - set(stems)):
      report.add('image_without_annotation', image_names[stem][0])
  return annotations.AnnotatedSet(images, label_map)


def image_ids(stems: List[str]) -> Dict[str, int]:
  """Returns a number for each file name, the one in the name if possible.

  The last number of the name (img2_007 is 7) if that tells all names apart,
  else all of its digits (2008_000007 is 2008000007), else a running number.
  """
  digits = [re.findall('[0-9]+', stem) for stem in stems]
  if all(digits):
    for numbers in (
      [int(groups[-1]) for groups in digits],
      [int(''.join(groups)) for groups in digits],
    ):
      if len(set(numbers)) == len(stems) and max(numbers) <= _MAX_ID:
        return dict(zip(stems, numbers))
  return {stem: number for number, stem in enumerate(stems, 1)}


def _list_dir(folder: str) -> List[str]:
  try:
    return tf.io.gfile.listdir(folder)
  except tf.errors.OpError as error:
    raise errors.DataError(
      '{}: the folder cannot be read: {}'.format(folder, error)
    ) from error


def _image_names_by_stem(image_dir: str) -> Dict[str, List[str]]:
  by_stem = collections.defaultdict(list)
  for name in sorted(_list_dir(image_dir)):
    stem, suffix = os.path.splitext(name)
    if suffix.lower() in _IMAGE_SUFFIXES:
      by_stem[stem].append(name)
  return by_stem


def _read_split(split_file: str, report: report_lib.Report) -> List[str]:
  try:
    with tf.io.gfile.GFile(split_file) as source:
      lines = source.read().splitlines()
  except (tf.errors.OpError, UnicodeDecodeError) as error:
    raise errors.DataError(
      '{}: the split file cannot be read: {}'.format(split_file, error)
    ) from error
  counts = collections.Counter(
    line.split()[0] for line in lines if line.strip()
  )
  if not counts:
    raise errors.DataError('{}: names no image.'.format(split_file))
  for stem, count in counts.items():
    for _ in range(count - 1):
      report.add('duplicate_image', stem, 'in ' + os.path.basename(split_file))
  return list(counts)


def _collect_names(trees) -> Dict[int, str]:
  names = {
    (element.text or '').strip()
    for tree in trees
    for element in tree.iterfind('object/name')
  }
  return dict(enumerate(sorted(names - {''}), 1))


def _image_name(tree, stem, image_names, report) -> str:
  stated = os.path.basename((tree.findtext('filename') or '').strip())
  existing = image_names.get(stem, [])
  if not existing or stated in existing:
    return stated or stem
  report.add('found_by_stem', existing[0], "the xml says '{}'".format(stated))
  return existing[0]


def _boxes(tree, file_name, one_based, report) -> List[annotations.Box]:
  boxes = []
  shift = 1.0 if one_based else 0.0
  for element in tree.iterfind('object'):
    name = (element.findtext('name') or '').strip()
    corners = [
      element.findtext('bndbox/' + key)
      for key in ('xmin', 'ymin', 'xmax', 'ymax')
    ]
    try:
      xmin, ymin, xmax, ymax = (float(corner) for corner in corners)
    except (TypeError, ValueError):
      report.add('malformed_box', file_name, '{} {}'.format(name, corners))
      continue
    is_difficult = (element.findtext('difficult') or '').strip() == '1'
    if is_difficult:
      report.add('difficult', file_name, name)
    boxes.append(
      annotations.Box(
        class_name=name,
        xmin=xmin - shift,
        ymin=ymin - shift,
        xmax=xmax,
        ymax=ymax,
        # The challenge counts a difficult object neither as a hit nor as a
        # miss, which is what COCO evaluation does with a crowd.
        is_crowd=is_difficult,
      )
    )
  return boxes


def _int_or_none(text: Optional[str]) -> Optional[int]:
  try:
    return int(float(text))
  except (TypeError, ValueError):
    return None
