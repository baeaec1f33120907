"""Label maps in a folder of PNGs, with palette or grey."""

import os
from typing import Dict

import numpy as np
import tensorflow.compat.v1 as tf
import tqdm

from dataloader import image_reader, record_contents
from tools.record_sources import annotations, folders, image_files
from tools.record_sources import report as report_lib
from utils import errors

_FLAG = '--segmentation_dir'


def read_label_pngs(
  label_dir: str,
  image_dir: str,
  report: report_lib.Report,
  label_map: Dict[int, str],
  ignore_label: int,
) -> annotations.AnnotatedSet:
  """Reads the label maps of a folder: FOLDER/IMAGE.png of FOLDER/IMAGE.*.

  Args:
    label_dir: folder of the label maps.
    image_dir: folder of the images.
    report: receives what has no counterpart.
    label_map: class ids by name.
    ignore_label: of pixels that do not count.

  Raises:
    errors.DataError: a folder or a label map cannot be read, or has a label
      that is none of those.
  """
  images = _by_stem(image_dir, '--image_dir')
  labels = _by_stem(label_dir, _FLAG)
  for stem in sorted(set(images) - set(labels)):
    report.add('image_without_masks', images[stem])
  for stem in sorted(set(labels) - set(images)):
    report.add('label_without_image', labels[stem])
  stems = sorted(set(labels) & set(images))
  ids = image_files.image_ids(stems)
  annotated = []
  for stem in tqdm.tqdm(stems, 'label maps', unit='image', disable=None):
    path = os.path.join(label_dir, labels[stem])
    found = np.unique(read(path))
    unknown = set(found.tolist()) - {0, ignore_label, *label_map}
    if unknown:
      raise errors.DataError(
        f'{path}: label {max(unknown)} is no class of --label_map, '
        f'{errors.shown(label_map)}, nor --ignore_label={ignore_label}. Add it '
        'to the file, or give the label that is to be ignored.'
      )
    annotated.append(
      annotations.AnnotatedImage(
        ids[stem],
        images[stem],
        os.path.join(image_dir, images[stem]),
        boxes=[],
        label_path=path,
        class_names=[label_map[i] for i in found if i in label_map],
      )
    )
  return annotations.AnnotatedSet(annotated, label_map)


def _by_stem(folder: str, flag: str) -> Dict[str, str]:
  """Pictures below a folder by their paths within it, without endings."""
  paths = folders.list_pictures(folder, flag)
  stems = {os.path.splitext(path)[0]: path for path in paths}
  others = set(paths) - set(stems.values())
  if others:
    raise errors.DataError(
      f"{flag}={folder}: '{min(others)}' and another picture differ in their "
      'endings alone, so that it is not clear which is meant. Give images and '
      'label maps in a folder each.'
    )
  return stems


def read(path: str) -> np.ndarray:
  """Returns uint8 [height, width], the labels of a PNG.

  Raises:
    errors.DataError: it is none, or has colours without a palette, labels above
      255, or indices beyond its palette.
  """
  try:
    with tf.io.gfile.GFile(path, 'rb') as source:
      content = source.read()
    image = image_reader.open_header(content)
    with image_reader.explaining():
      # NumPy would make an object of what it cannot read.
      image.load()
      labels = np.asarray(image)
  except (errors.DataError, tf.errors.OpError) as error:
    reason = str(error).splitlines()[0]
    raise errors.DataError(
      f'{path}: the label map cannot be read: {reason}'
    ) from error
  problem = ''
  if image.format != 'PNG' or labels.ndim > 2:
    problem = (
      f'is a {image.format} of mode {image.mode}; save label maps as PNG, grey '
      'or with a palette'
    )
  elif image.mode == 'P':
    num_colors = len(image.palette.palette) // 3
    if labels.max() >= num_colors:
      problem = f'has index {labels.max()} in a palette of {num_colors} colours'
  elif image.mode == 'L':
    # Pillow spreads fewer bits over 0 to 255.
    labels = labels // (255 // (2 ** content[record_contents.PNG_DEPTH] - 1))
  elif labels.max() > 255:
    problem = f'has label {labels.max()}; labels are 0 to 255'
  if problem:
    raise errors.DataError(f'{path}: the label map {problem}.')
  return labels.astype(np.uint8)
