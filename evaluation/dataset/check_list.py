"""Checks of a data set: what they are given, and what they find."""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from dataloader import record_contents
from evaluation.dataset import pictures as pictures_lib
from evaluation.dataset import record_scan

ERROR, WARNING = 'error', 'warning'
TRAINING, EVALUATION = 'training', 'evaluation'


class Part(NamedTuple):
  """One of the sets that a config names.

  Attributes:
    name: TRAINING or EVALUATION.
    key: of the config, that gives its files.
    contents: of its records.
    pictures: None if they were not decoded.
  """

  name: str
  key: str
  contents: record_scan.SetContents
  pictures: Optional[pictures_lib.Pictures] = None

  def place(self, image: int) -> str:
    """Where an image is stored, for a person."""
    contents = self.contents
    source_id = contents.source_ids[image]
    return "TFRecord file '{}', record {}{}".format(
      contents.files[contents.file_indices[image]],
      contents.record_indices[image],
      f' (source id {source_id!r})' if source_id else '',
    )


class Data(NamedTuple):
  """Everything that a config names.

  Attributes:
    params: the whole config.
    parts: its sets, that of training first.
    learned: what its model learns from.
    names: class names by id; empty without a label map.
    annotations: content of the annotation file; None without.
    unreadable: why the annotation file and the label map cannot be used.
    num_workers: processes that read the training files together.
  """

  params: Any
  parts: Sequence[Part]
  learned: record_contents.Contents
  names: Dict[int, str]
  annotations: Optional[Dict[str, Any]] = None
  unreadable: Sequence[str] = ()
  num_workers: int = 1

  @property
  def learns_objects(self) -> bool:
    return self.learned != record_contents.IMAGE_CLASS

  def other(self, part: Part) -> Optional[Part]:
    return next((each for each in self.parts if each.name != part.name), None)


class Found(NamedTuple):
  """What a check found in a set.

  Attributes:
    count: how many are concerned; there is no finding without any.
    of: what they are, with their total: 'of 364 images'.
    example: one of them, for a person; ''.
    images: indices of the images concerned, those to look at first.
    objects: indices of the objects concerned.
    twins: indices of the images of the other set that `images` are like.
    remedy: what to do, in place of that of the check.
    severity: in place of that of the check.
    details: more, for dataset.json.
  """

  count: int
  of: str
  example: str = ''
  images: Sequence[int] = ()
  objects: Sequence[int] = ()
  twins: Sequence[int] = ()
  remedy: str = ''
  severity: str = ''
  details: Dict[str, Any] = {}


class Check(NamedTuple):
  """A check of one set, which may look at the other one, too.

  Attributes:
    severity: ERROR: it cannot be meant, or ends a run. WARNING.
    title: what is wrong, in words.
    remedy: what to do.
    find: of everything and a set, what was found, or None.
    sampled: whether it makes sense of the first records of a set.
  """

  severity: str
  title: str
  remedy: str
  find: Callable[[Data, Part], Optional[Found]]
  sampled: bool = True


def check(
  checks: List[Check],
  severity: str,
  title: str,
  remedy: str,
  sampled: bool = True,
) -> Callable[..., Any]:
  """Decorator that makes a check of its `find` and puts it into a list."""

  def decorator(find):
    checks.append(Check(severity, title, remedy, find, sampled))
    return find

  return decorator


def of_images(
  part: Part, wrong: np.ndarray, tell: Callable[[int], str] = lambda image: ''
) -> Optional[Found]:
  """A finding of images.

  Args:
    part: the set.
    wrong: bool [N].
    tell: of an index, what is wrong there.
  """
  images = np.flatnonzero(wrong)
  if not len(images):
    return None
  told = tell(images[0])
  return Found(
    len(images),
    f'of {part.contents.num_images:,} images',
    part.place(images[0]) + (f': {told}' if told else ''),
    images.tolist(),
  )


def of_objects(
  part: Part, wrong: np.ndarray, tell: Callable[[int], str] = lambda index: ''
) -> Optional[Found]:
  """A finding of objects; see `of_images`."""
  objects = np.flatnonzero(wrong)
  if not len(objects):
    return None
  contents = part.contents
  told = tell(objects[0])
  images = contents.image_indices[objects]
  _, first = np.unique(images, return_index=True)
  return Found(
    len(objects),
    f'of {len(contents.classes):,} objects',
    part.place(images[0]) + (f': {told}' if told else ''),
    images[np.sort(first)].tolist(),
    objects.tolist(),
  )
