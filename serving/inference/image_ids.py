"""Image ids of COCO's result format."""

import functools
from typing import Dict, Iterable, Iterator, Optional, Set

from dataloader import image_reader
from evaluation import coco_json
from serving.inference import sources
from utils import errors, files


class ImageIds:
  """Gives images their ids.

  The id of an image is that of its TFRecord, or that of its file name in an
  annotation file; without either, images are numbered from 1. Where the size in
  the annotation file is that of the stored pixels, an image is not turned
  upright, so that its boxes are those of the file.

  Args:
    annotations: COCO json with the ids of images, or ''.

  Attributes:
    numbered: names by id of the images that were numbered.
    num_left_out: images that are not in the annotation file.

  Raises:
    DataError: the annotation file cannot be used.
  """

  def __init__(self, annotations: str = ''):
    self.numbered: Dict[int, str] = {}
    self.num_left_out = 0
    self._used: Set[int] = set()
    self._last = 0
    # None where a name stands for several images.
    self._known: Optional[Dict[str, Optional[coco_json.Image]]] = None
    if annotations:
      self._known = {}
      # Ids are wanted, whatever the boxes are like.
      content = coco_json.read(annotations, on_bad_annotation=lambda _: None)
      for image in content.images:
        for name in files.path_endings(image.file_name):
          self._known[name] = None if name in self._known else image

  def given_to(self, items: Iterable[sources.Item]) -> Iterator[sources.Item]:
    """Yields the items with an id.

    Those that the annotation file does not have are left out; those whose id
    is not their own, or whose size is not that of the file, cannot be read.
    """
    for item in items:
      try:
        item = self._with_id(item)
      except errors.DataError as error:
        yield sources.failing_item(item.name, str(error))
        continue
      if item is None:
        self.num_left_out += 1
      else:
        yield item

  def _with_id(self, item: sources.Item) -> Optional[sources.Item]:
    if item.image_id is None and self._known is None:
      item = item._replace(image_id=self._next())
      self.numbered[item.image_id] = item.name
    elif item.image_id is None:
      image = self._by_name(item.name)
      if image is None:
        return None
      open_it = functools.partial(_open_as_annotated, item, image)
      item = item._replace(image_id=image.id, open=open_it)
    if item.image_id in self._used:
      raise errors.DataError(
        f'it has the image id {item.image_id}, as an earlier image'
      )
    self._used.add(item.image_id)
    return item

  def _next(self) -> int:
    self._last += 1
    while self._last in self._used:
      self._last += 1
    return self._last

  def _by_name(self, name: str) -> Optional[coco_json.Image]:
    for ending in files.path_endings(name):
      if ending in self._known:
        image = self._known[ending]
        if image is None:
          raise errors.DataError(
            f"--annotation_file has several images '{ending}'"
          )
        return image
    return None


def _open_as_annotated(
  item: sources.Item, image: coco_json.Image
) -> image_reader.Opened:
  opened = item.open()
  size = (image.width, image.height)
  if None in size or opened.size is None or opened.size == size:
    return opened
  stored = opened.as_stored()
  if stored.size == size:
    return stored
  raise errors.DataError(
    '--annotation_file says {} x {} pixels, but it has {} x {}: boxes would be '
    'of another picture'.format(*size, *opened.size)
  )
