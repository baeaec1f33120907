"""Checks of a data set: what they are given, and what they find."""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from configs import factory
from dataloader import record_contents, record_reader
from evaluation.dataset import pictures as pictures_lib
from evaluation.dataset import record_scan
from utils import errors

ERROR, WARNING = 'error', 'warning'
TRAINING, EVALUATION = 'training', 'evaluation'
# Keys of a config that give the files of the sets.
KEYS = {
  TRAINING: 'train.train_file_pattern',
  EVALUATION: 'eval.eval_file_pattern',
}


class Data(NamedTuple):
  """Everything that a config names.

  Attributes:
    params: the whole config.
    learned: what its model learns from.
    names: class names by id; empty without a label map.
    annotations: content of the annotation file; None without.
    num_workers: processes that read the training files together.
    parts: its sets, that of training first.
  """

  params: Any
  learned: record_contents.Contents
  names: Dict[int, str]
  annotations: Optional[Dict[str, Any]]
  num_workers: int
  parts: List['Part']

  @property
  def learns_objects(self) -> bool:
    return self.learned.label == record_contents.OBJECTS.label

  @property
  def first_class(self) -> int:
    """The least id; 0 is the background of what learns objects."""
    return 1 if self.learns_objects else 0

  def name(self, class_id: int) -> str:
    return self.names.get(class_id, str(class_id))


class Part(NamedTuple):
  """One of the sets that a config names.

  Attributes:
    name: TRAINING or EVALUATION.
    data: that it belongs to.
    contents: of its records.
    pictures: None if they were not decoded.
  """

  name: str
  data: Data
  contents: record_scan.SetContents
  pictures: Optional[pictures_lib.Pictures] = None

  @property
  def training(self) -> Optional['Part']:
    """The training set, for that of evaluation."""
    first = self.data.parts[0]
    return first if first.name != self.name else None

  @property
  def classes(self) -> np.ndarray:
    """int64, of all objects, or of all images for a classifier.

    Of label maps, which a scan does not decode, there are none.
    """
    contents = self.contents
    return contents.classes if self.data.learns_objects else contents.labels

  @property
  def is_learned(self) -> np.ndarray:
    """bool [M], whether an object is not left out as a crowd."""
    is_crowd = self.contents.is_crowd
    settings = factory.parser_settings(self.data.params)
    skips = settings.get('skip_crowd_during_training')
    return ~(is_crowd & (self.name == TRAINING and bool(skips)))

  @property
  def counts(self) -> np.ndarray:
    """int64 [N], objects of each image that are not left out."""
    contents = self.contents
    return np.bincount(
      contents.image_indices[self.is_learned], minlength=contents.num_images
    )

  def place(self, image: int) -> str:
    """Where an image is stored, for a person."""
    contents = self.contents
    place = record_reader.place(
      contents.files[contents.file_indices[image]],
      contents.record_indices[image],
      contents.source_ids[image],
    )
    name = contents.file_names[image]
    return f'{place}, {errors.shown(name)}' if name else place

  def of_images(
    self, wrong: np.ndarray, tell: Callable[[int], str] = lambda index: ''
  ) -> Optional['Finding']:
    """What is found of images; None if nothing is.

    Args:
      wrong: bool [N].
      tell: of an index, what is wrong there.
    """
    images = np.flatnonzero(wrong)
    return self._found(images, images, 'images', len(wrong), tell)

  def of_objects(
    self, wrong: np.ndarray, tell: Callable[[int], str] = lambda index: ''
  ) -> Optional['Finding']:
    """What is found of objects, as `of_images`; `wrong` is bool [M]."""
    objects = np.flatnonzero(wrong)
    images = self.contents.image_indices[objects]
    found = self._found(objects, images, 'objects', len(wrong), tell)
    return found and found._replace(objects=objects.tolist())

  def of_classes(
    self, wrong: np.ndarray, tell: Callable[[int], str]
  ) -> Optional['Finding']:
    """What is found of `classes`."""
    of = self.of_objects if self.data.learns_objects else self.of_images
    return of(wrong, tell)

  def of_texts(
    self, texts: Sequence[str], of: str, most: int = 1, **more: Any
  ) -> Optional['Finding']:
    """What is found if there are texts, `most` of which are the example."""
    if not texts:
      return None
    shown = ', '.join(texts[:most])
    if len(texts) > most > 1:
      shown += ', ...'
    return Finding(self, len(texts), of, shown, **more)

  def _found(self, indices, images, what, total, tell) -> Optional['Finding']:
    if not len(indices):
      return None
    told = tell(indices[0])
    return Finding(
      self,
      len(indices),
      f'of {total:,} {what}',
      self.place(images[0]) + (f': {told}' if told else ''),
      list(dict.fromkeys(images.tolist())),
    )


class Finding(NamedTuple):
  """What a check found in a set.

  Attributes:
    part: the set.
    count: how many are concerned; there is no finding without any.
    of: what they are, with their total: 'of 364 images'.
    example: one of them, for a person; ''.
    images: indices of the images concerned, those to look at first.
    objects: indices of the objects concerned.
    twins: indices of the images of the training set that `images` are like.
    details: more, for dataset.json.
    severity, title, remedy: of the check, or in place of that.
  """

  part: Part
  count: int
  of: str
  example: str = ''
  images: Sequence[int] = ()
  objects: Sequence[int] = ()
  twins: Sequence[int] = ()
  details: Dict[str, Any] = {}
  severity: str = ''
  title: str = ''
  remedy: str = ''

  @property
  def is_error(self) -> bool:
    return self.severity == ERROR

  @property
  def amount(self) -> str:
    return f'{self.count:,} {self.of}'

  def __str__(self) -> str:
    example = f', such as {self.example}' if self.example else ''
    end = '' if example.endswith('.') else '.'
    return (
      f'{KEYS[self.part.name]}: {self.title} ({self.amount}){example}{end} '
      f'{self.remedy}'
    )


class Check(NamedTuple):
  """A check of one set, which may look at the other one, too.

  Attributes:
    severity: ERROR: it cannot be meant, or ends a run. WARNING.
    title: what is wrong, in words.
    remedy: what to do.
    find: of a set, what was found, or None.
    of: the set that it is for; '' of both.
    sampled: whether it makes sense of the first records of a set.
  """

  severity: str
  title: str
  remedy: str
  find: Callable[[Part], Optional[Finding]]
  of: str = ''
  sampled: bool = True

  def run(self, part: Part, is_sample: bool = False) -> Optional[Finding]:
    if self.of not in ('', part.name) or (is_sample and not self.sampled):
      return None
    found = self.find(part)
    return found and found._replace(
      title=self.title,
      severity=found.severity or self.severity,
      remedy=found.remedy or self.remedy,
    )
