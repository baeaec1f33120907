"""Reads Pascal VOC annotations: one xml file an image.

Coordinates are taken as they stand, as torchvision's `VOCDetection` does and
as nearly every labelling tool writes them. The photos of the PASCAL VOC
challenge itself count pixels from 1 and include the last one; for those,
`one_based` moves xmin and ymin by one, as detectron2 does.
"""

import collections
import os
import reprlib
from typing import Dict, List, Optional
from xml.etree import ElementTree

import tensorflow.compat.v1 as tf

from dataloader import image_reader
from tools.record_sources import annotations, folders, image_files
from tools.record_sources import report as report_lib
from utils import errors, files, numerals
from utils import label_map as label_map_lib

# Where other dialects have their objects.
_OBJECTS_ELSEWHERE = {'object', 'bndbox', 'bbox', 'box', 'polygon', 'points'}


def read_voc(
  annotation_dir: str,
  image_dir: str,
  report: report_lib.Report,
  split_file: Optional[str] = None,
  label_map: Optional[Dict[int, str]] = None,
  one_based: bool = False,
) -> annotations.AnnotatedSet:
  """Reads the boxes of a folder of Pascal VOC xml files.

  Image ids and the default label map agree between the splits of a folder.

  Args:
    annotation_dir: folder of the xml files.
    image_dir: folder of the images.
    report: receives what cannot be used.
    split_file: text file with the name (without suffix) of one image a line.
    label_map: class ids by name. Default: the names that occur in the folder,
      in alphabetical order, from 1.
    one_based: whether coordinates start at 1 and include the last pixel.

  Returns:
    The images of the split, in its order.

  Raises:
    errors.DataError: a folder or the split file cannot be used.
  """
  stems = _annotation_names(annotation_dir)
  image_names = _image_names_by_stem(image_dir)
  ids = image_files.image_ids(stems)
  wanted = _read_split(split_file, report) if split_file else stems

  trees = {}
  # Without a label map the names come from all files, also of other splits.
  for stem in [s for s in (wanted if label_map else stems) if s in ids]:
    try:
      trees[stem] = _read_tree(os.path.join(annotation_dir, stem + '.xml'))
    except errors.DataError as error:
      if stem in wanted:
        report.add('unreadable_annotation', stem + '.xml', str(error))
  if label_map is None:
    label_map = _collect_names(trees.values())

  images = []
  for stem in wanted:
    if stem not in ids:
      report.add('missing_annotation', stem + '.xml')
    elif stem in trees:
      tree = trees[stem]
      file_name = _image_name(tree, stem, image_names, report)
      path = os.path.join(image_dir, file_name)
      boxes = _boxes(tree, file_name, one_based, report)
      size = [
        annotations.side(tree.findtext('size/' + key))
        for key in ('width', 'height')
      ]
      images.append(
        annotations.AnnotatedImage(ids[stem], file_name, path, boxes, *size)
      )
  if not split_file:
    _report_other_images(image_names, stems, report)
  return annotations.AnnotatedSet(images, label_map)


def _report_other_images(
  image_names: Dict[str, List[str]],
  stems: List[str],
  report: report_lib.Report,
) -> None:
  for stem in sorted(set(image_names) - set(stems)):
    if image_names[stem][0].lower().endswith(image_reader.ENDINGS):
      report.add('not_annotated', image_names[stem][0])


def _read_tree(path: str) -> ElementTree.Element:
  """Returns the root, without namespaces; DataError if it is not VOC's."""
  try:
    with tf.io.gfile.GFile(path, 'rb') as source:
      content = source.read()
    # Entities can grow without bound; VOC has none.
    if b'<!ENTITY' in content.replace(b'\0', b''):
      raise errors.DataError('it declares entities')
    tree = ElementTree.fromstring(content)
  except (
    tf.errors.OpError,
    ElementTree.ParseError,
    LookupError,  # an encoding that Python does not know
    ValueError,  # or that the parser does not take
  ) as error:
    raise errors.DataError(str(error)) from error
  for element in tree.iter():
    element.tag = element.tag.rpartition('}')[2]
  if tree.tag != 'annotation':
    raise errors.DataError(f'not VOC: its root is <{tree.tag[:40]}>')
  if tree.find('object') is None:
    for element in tree.iter():
      if element.tag.lower() in _OBJECTS_ELSEWHERE:
        raise errors.DataError(
          f'not VOC: <{element.tag}>, but no <object> below the root'
        )
  return tree


def _annotation_names(annotation_dir: str) -> List[str]:
  """Returns the names of the xml files, without suffix."""
  stems = [
    os.path.splitext(name)[0]
    for name in folders.list_folder(annotation_dir, '--voc_annotation_dir')
    if name.lower().endswith('.xml')
  ]
  if not stems:
    raise errors.DataError(
      f'{annotation_dir}: there is no xml file in this folder.'
    )
  return stems


def _image_names_by_stem(image_dir: str) -> Dict[str, List[str]]:
  by_stem = collections.defaultdict(list)
  for name in folders.list_folder(image_dir, '--image_dir'):
    stem, suffix = os.path.splitext(name)
    if suffix.lower() not in ('.xml', '.json', '.txt', '.csv'):
      by_stem[stem].append(name)
  return by_stem


def _read_split(split_file: str, report: report_lib.Report) -> List[str]:
  lines = files.read_unicode(split_file, 'split file').splitlines()
  counts = collections.Counter(
    line.split()[0] for line in lines if line.strip()
  )
  if not counts:
    raise errors.DataError(f'{split_file}: names no image.')
  for stem, count in counts.items():
    for _ in range(count - 1):
      report.add('duplicate_image', stem, 'in ' + os.path.basename(split_file))
  return list(counts)


def _collect_names(trees) -> Dict[int, str]:
  names = {
    label_map_lib.clean_name(element.text or '')
    for tree in trees
    for element in tree.iterfind('object/name')
  }
  return dict(enumerate(sorted(names - {''}), 1))


def _image_name(tree, stem, image_names, report) -> str:
  stated = (tree.findtext('filename') or '').strip()
  stated = stated and files.path_endings(stated)[-1]
  existing = image_names.get(stem, [])
  if not existing or stated in existing:
    return stated or stem
  report.add('found_by_stem', existing[0], f"the xml says '{stated}'")
  return existing[0]


def _boxes(tree, file_name, one_based, report) -> List[annotations.Box]:
  boxes = []
  shift = 1.0 if one_based else 0.0
  for element in tree.iterfind('object'):
    name = label_map_lib.clean_name(element.findtext('name') or '')
    texts = [
      element.findtext('bndbox/' + key)
      for key in ('xmin', 'ymin', 'xmax', 'ymax')
    ]
    xmin, ymin, xmax, ymax = (numerals.number(text) for text in texts)
    if None in (xmin, ymin, xmax, ymax):
      detail = f'{name} {reprlib.repr(texts)}'
      report.add('malformed_box', file_name, detail)
      continue
    is_difficult = bool(numerals.integer(element.findtext('difficult')))
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
