"""Split of an annotated set into parts with like shares of every class."""

import collections
import hashlib
from typing import Dict, List, Optional, Sequence, Set

from tools.record_sources import annotations
from utils import errors


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
  by_path: Dict[str, List[annotations.AnnotatedImage]] = {}
  for image in annotated.images:
    by_path.setdefault(image.path, []).append(image)

  def rank(path: str) -> bytes:
    # A random number of the image, the same in any order and anywhere.
    name = by_path[path][0].file_name
    return hashlib.sha256(f'{seed}/{name}'.encode()).digest()

  paths = sorted(by_path, key=rank)
  known = set(annotated.label_map.values())
  classes = [
    known.intersection(
      name
      for image in by_path[path]
      for name in (
        image.class_name,
        *image.class_names,
        *(box.class_name for box in image.boxes),
      )
    )
    for path in paths
  ]
  part_of = dict(zip(paths, _stratify(classes, list(shares.values()))))
  parts = {}
  for number, name in enumerate(shares):
    images = [i for i in annotated.images if part_of[i.path] == number]
    if not images:
      raise errors.DataError(
        f"--split leaves '{name}' none of the {len(annotated.images)} images. "
        'Give it a larger share.'
      )
    parts[name] = annotated._replace(images=images)
  return parts


def _stratify(
  classes: Sequence[Set[str]], shares: Sequence[float]
) -> List[Optional[int]]:
  """Deals out items with sets of classes; returns the part of each."""
  # All are of a class '', too, which comes last.
  by_class = collections.defaultdict(list)
  for index, names in enumerate(classes):
    for name in (*names, ''):
      by_class[name].append(index)
  # How many more items each part should get.
  lacking = {
    name: [share * len(items) for share in shares]
    for name, items in by_class.items()
  }
  remaining = {name: len(items) for name, items in by_class.items()}
  parts: List[Optional[int]] = [None] * len(classes)
  while remaining:
    rarest = min(remaining, key=lambda n: (remaining[n], not n, n))
    for index in by_class[rarest]:
      if parts[index] is None:
        parts[index] = max(
          range(len(shares)),
          key=lambda i: (lacking[rarest][i], lacking[''][i], -i),
        )
        for name in (*classes[index], ''):
          lacking[name][parts[index]] -= 1
          remaining[name] -= 1
    # Items of several classes are dealt out with the rarest of them.
    remaining = {name: count for name, count in remaining.items() if count}
  return parts
