"""Split of an annotated set into parts with like shares of every class."""

import collections
import hashlib
from typing import Dict, List, Sequence, Set

from tools.record_sources import annotations
from utils import errors

_Images = List[annotations.AnnotatedImage]


def split(
  annotated: annotations.AnnotatedSet,
  shares: Dict[str, float],
  seed: int = 0,
) -> Dict[str, annotations.AnnotatedSet]:
  """Splits a set by iterative stratification.

  The images of the class that the fewest of them have are dealt out first, each
  to the part that lacks most of the class, then those of the next such class,
  until images without a class remain (Sechidis et al., On the Stratification of
  Multi-Label Data, 2011). What the images are called decides about their order,
  so that a split does not depend on the order of a folder or on the machine;
  images of the same file stay together.

  Args:
    annotated: a whole set.
    shares: of the images, by name of the part; above 0, of sum 1.
    seed: of the order in which the images of a class are dealt out.

  Returns:
    The parts by name, each with the label map of the whole, and with its images
    in their order of before.

  Raises:
    errors.DataError: a part is left without an image.
  """
  by_path: Dict[str, _Images] = collections.defaultdict(list)
  for image in annotated.images:
    by_path[image.path].append(image)
  paths = sorted(by_path, key=lambda path: _rank(by_path[path][0], seed))
  names = set(annotated.label_map.values())
  parts = _stratify(
    [_classes(by_path[path]) & names for path in paths], list(shares.values())
  )
  name_of = {
    paths[index]: name for name, part in zip(shares, parts) for index in part
  }
  images: Dict[str, _Images] = {name: [] for name in shares}
  for image in annotated.images:
    images[name_of[image.path]].append(image)
  for name, own in images.items():
    if not own:
      raise errors.DataError(
        f"--split leaves '{name}' none of the {len(annotated.images)} images. "
        'Give it a larger share.'
      )
  return {name: annotated._replace(images=own) for name, own in images.items()}


def _rank(image: annotations.AnnotatedImage, seed: int) -> bytes:
  """A random number of the image, the same in any order and anywhere."""
  return hashlib.sha256(f'{seed}/{image.file_name}'.encode()).digest()


def _classes(images: _Images) -> Set[str]:
  return {
    name
    for image in images
    for name in (image.class_name, *(box.class_name for box in image.boxes))
    if name is not None
  }


def _stratify(
  classes: Sequence[Set[str]], shares: Sequence[float]
) -> List[List[int]]:
  """Deals out items with sets of classes; returns the indices of each part."""
  by_class = collections.defaultdict(list)
  for index, names in enumerate(classes):
    for name in sorted(names):
      by_class[name].append(index)
  # How many more items each part should get, of each class and at all.
  lacking = {
    name: [share * len(items) for share in shares]
    for name, items in by_class.items()
  }
  lacking_at_all = [share * len(classes) for share in shares]
  remaining = {name: len(items) for name, items in by_class.items()}
  parts: List[List[int]] = [[] for _ in shares]
  is_dealt = [False] * len(classes)

  def deal(index: int, wanted: List[float]) -> None:
    part = max(
      range(len(shares)), key=lambda i: (wanted[i], lacking_at_all[i], -i)
    )
    parts[part].append(index)
    is_dealt[index] = True
    lacking_at_all[part] -= 1
    for name in classes[index]:
      lacking[name][part] -= 1
      remaining[name] -= 1

  while remaining:
    rarest = min(sorted(remaining), key=remaining.get)
    for index in by_class[rarest]:
      if not is_dealt[index]:
        deal(index, lacking[rarest])
    del remaining[rarest]
    # Images of several classes are dealt out with the rarest of them.
    for name in [name for name, count in remaining.items() if not count]:
      del remaining[name]
  for index in range(len(classes)):
    if not is_dealt[index]:
      deal(index, lacking_at_all)
  return parts
