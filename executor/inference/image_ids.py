"""Numbers that stand for images in COCO's result format."""

import os
from typing import Dict, Iterable, Iterator, List, Optional, Set

from evaluation import annotation_file
from executor.inference import sources
from utils import errors


class ImageIds:
  """Gives images their ids.

  The id of an image is that of its TFRecord, or that of its file name in an
  annotation file; without either, images are numbered from 1.

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
    self._known: Optional[Dict[str, Optional[int]]] = None
    if annotations:
      self._known = {}
      for image in annotation_file.load_annotations(annotations)['images']:
        for name in _endings(str(image.get('file_name', ''))):
          is_new = name not in self._known
          self._known[name] = image['id'] if is_new else None

  def given_to(self, items: Iterable[sources.Item]) -> Iterator[sources.Item]:
    """Yields the items with an id.

    Those that the annotation file does not have are left out; those whose id
    is not their own cannot be read.
    """
    for item in items:
      try:
        image_id = self._id(item)
      except errors.DataError as error:
        yield sources.failing_item(item.name, str(error))
        continue
      if image_id is None:
        self.num_left_out += 1
      else:
        yield item._replace(image_id=image_id)

  def _id(self, item: sources.Item) -> Optional[int]:
    image_id = item.image_id
    if image_id is None and self._known is None:
      image_id = self._next()
      self.numbered[image_id] = item.name
    elif image_id is None:
      image_id = self._by_name(item.name)
    if image_id is None:
      return None
    if image_id in self._used:
      raise errors.DataError(
        'it has the image id {}, as an earlier image'.format(image_id)
      )
    self._used.add(image_id)
    return image_id

  def _next(self) -> int:
    self._last += 1
    while self._last in self._used:
      self._last += 1
    return self._last

  def _by_name(self, name: str) -> Optional[int]:
    for ending in _endings(name):
      if ending in self._known:
        image_id = self._known[ending]
        if image_id is None:
          raise errors.DataError(
            "--annotation_file has several images '{}'".format(ending)
          )
        return image_id
    return None


def _endings(path: str) -> List[str]:
  """'a/b/c.jpg' -> ['a/b/c.jpg', 'b/c.jpg', 'c.jpg']."""
  parts = os.path.normpath(path).strip('/').split('/')
  return ['/'.join(parts[i:]) for i in range(len(parts))]
