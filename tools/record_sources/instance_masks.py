"""Instance masks in folders of pictures, as microscopy sets have them."""

import collections
import os
from typing import Dict, Iterator, List, Optional

import numpy as np
import tensorflow.compat.v1 as tf
import tqdm

from dataloader import image_reader
from tools.record_sources import annotations, folders, image_files
from tools.record_sources import report as report_lib
from utils import errors, mask_utils
from utils import label_map as label_map_lib

_FLAG = '--instance_masks_dir'
_WHITE = 255
# The noise of their compression would be labels.
_LOSSY = ('JPEG', 'MPO', 'WEBP', 'JPEG2000')
# More are the colours of a photo.
_MOST_LABELS = 5000


def read_instance_masks(
  mask_dir: str,
  image_dir: str,
  report: report_lib.Report,
  class_name: Optional[str] = None,
  label_map: Optional[Dict[int, str]] = None,
) -> annotations.AnnotatedSet:
  """Reads the masks of a folder.

  The image IMAGE.* has its masks in a label image, IMAGE.*, where each value
  but 0 is an object, or in a folder, IMAGE/ or IMAGE/masks/, with a picture for
  each object, where all but 0 belongs to it.

  Args:
    mask_dir: folder of the masks; without `class_name`, of a folder of masks
      for each class.
    image_dir: folder of the images, IMAGE.* or IMAGE/images/IMAGE.*.
    report: receives what cannot be used.
    class_name: of all objects.
    label_map: class ids by name. Default: the names in alphabetical order,
      from 1.

  Returns:
    The images that have masks, or a folder for them.

  Raises:
    errors.DataError: a folder cannot be read, or there is no mask.
  """
  if class_name:
    directories = {class_name: mask_dir}
  else:
    directories = {
      label_map_lib.clean_name(name): os.path.join(mask_dir, name)
      for name in folders.list_folder(mask_dir, _FLAG)
      if tf.io.gfile.isdir(os.path.join(mask_dir, name))
    }
  boxes: Dict[str, List[annotations.Box]] = collections.defaultdict(list)
  for name, directory in directories.items():
    entries = folders.list_folder(directory, _FLAG)
    for entry in tqdm.tqdm(entries, name, unit='image', disable=None):
      path = os.path.join(directory, entry)
      stem, ending = os.path.splitext(entry)
      if tf.io.gfile.isdir(path):
        boxes[entry].extend(_of_folder(path, name, report))
      elif ending.lower() in image_reader.ENDINGS:
        boxes[stem].extend(_of_label_image(path, name, report))
  if not any(boxes.values()):
    raise errors.DataError(
      f'{_FLAG}={mask_dir}: no mask was found in it. It has to hold label '
      'images or folders of masks, or with several classes a folder of these '
      f'for each; --mask_class is for one class. {report.summary()}'.rstrip()
    )
  return annotations.AnnotatedSet(
    _images(boxes, image_dir, report),
    label_map or dict(enumerate(sorted(directories), 1)),
  )


def _images(
  boxes: Dict[str, List[annotations.Box]],
  image_dir: str,
  report: report_lib.Report,
) -> List[annotations.AnnotatedImage]:
  names = {
    os.path.splitext(name)[0]: name
    for name in folders.list_folder(image_dir, '--image_dir')
    if name.lower().endswith(image_reader.ENDINGS)
  }
  for stem in sorted(set(names) - set(boxes)):
    report.add('image_without_masks', names[stem])
  ids = image_files.image_ids(sorted(boxes))
  images = []
  for stem in sorted(boxes):
    name = names.get(stem) or _name_within(image_dir, stem)
    # Masks tell whether the image was resized or turned since.
    sizes = [box.segmentation['size'] for box in boxes[stem]]
    height, width = sizes[0] if sizes else (None, None)
    images.append(
      annotations.AnnotatedImage(
        ids[stem],
        name,
        os.path.join(image_dir, name),
        boxes[stem],
        width,
        height,
      )
    )
  return images


def _name_within(image_dir: str, stem: str) -> str:
  """IMAGE/images/IMAGE.* if that exists, else IMAGE."""
  prefix = os.path.join(image_dir, stem, 'images', stem)
  for ending in image_reader.ENDINGS:
    if tf.io.gfile.exists(prefix + ending):
      return os.path.relpath(prefix + ending, image_dir)
  return stem


def _of_folder(
  folder: str, class_name: str, report: report_lib.Report
) -> Iterator[annotations.Box]:
  within = os.path.join(folder, 'masks')
  if tf.io.gfile.isdir(within):
    folder = within
  for name in folders.list_folder(folder, _FLAG):
    path = os.path.join(folder, name)
    if name.lower().endswith(image_reader.ENDINGS):
      values = _read(path, report)
      if values is not None and not values.any():
        report.add('empty_mask', path)
      elif values is not None:
        yield _box(values != 0, class_name)


def _of_label_image(
  path: str, class_name: str, report: report_lib.Report
) -> Iterator[annotations.Box]:
  values = _read(path, report)
  if values is None:
    return
  labels = np.setdiff1d(values, [0])
  if len(labels) > _MOST_LABELS:
    reason = f'{len(labels):,} values, as in a photo, not a label image'
    report.add('unreadable_mask', path, reason)
    return
  if labels.tolist() == [True if values.dtype == bool else _WHITE]:
    report.add('one_label', path)
  for label in labels:
    yield _box(values == label, class_name)


def _read(path: str, report: report_lib.Report) -> Optional[np.ndarray]:
  """Returns one number a pixel, [height, width]; None if it cannot be used."""
  try:
    with tf.io.gfile.GFile(path, 'rb') as source:
      content = source.read()
    image = image_reader.open_header(content)
    if image.format in _LOSSY or image.info.get('compression') == 'jpeg':
      raise errors.DataError(
        f'{image.format} may change labels; save masks as PNG'
      )
    with image_reader.explaining():
      pixels = np.asarray(image)
  except (errors.DataError, tf.errors.OpError) as error:
    report.add('unreadable_mask', path, str(error).splitlines()[0])
    return None
  if pixels.ndim == 2:
    return pixels
  if image.mode == 'LA':
    return pixels[..., 0]
  # A colour is a label, too; what is opaque is none.
  return pixels[..., :3] @ np.int32([1 << 16, 1 << 8, 1])


def _box(mask: np.ndarray, class_name: str) -> annotations.Box:
  ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
  return annotations.Box(
    class_name,
    xmin=float(xs[0]),
    ymin=float(ys[0]),
    xmax=float(xs[-1] + 1),
    ymax=float(ys[-1] + 1),
    area=float(mask.sum()),
    segmentation=mask_utils.encode_as_text(mask),
  )
