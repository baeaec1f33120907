"""Checks of objects: their classes, boxes and anchors."""

import functools
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from configs import factory
from dataloader import groundtruth_checks, whole_set
from evaluation.dataset import anchor_fit, check_list
from evaluation.dataset.check_list import (
  ERROR,
  WARNING,
  Check,
  Data,
  Found,
  Part,
  of_images,
  of_objects,
)

# A coordinate beyond the image this often is no share of its sides.
_IN_PIXELS = 2.0
# Sticking out by less is a matter of rounding to 32 bits.
_ROUNDING = 1e-6
# Pixels of the model's image.
_TINY = 2.0
# Objects that may go without an anchor of their own before it is told.
_MOST_UNMET = 0.01
_SIZES = (('small', 0, 32), ('medium', 32, 96), ('large', 96, np.inf))

CHECKS: List[Check] = []
_check = functools.partial(check_list.check, CHECKS)


@_check(
  ERROR,
  'class ids outside of what the model has',
  'architecture.num_classes is the largest id plus one; 0 is the background.',
)
def _class_ids(data: Data, part: Part) -> Optional[Found]:
  num_classes = data.params.architecture.num_classes
  contents = part.contents
  if not data.learns_objects:
    labels = contents.labels
    wrong = (labels != -1) & ((labels < 0) | (labels >= num_classes))
    return of_images(
      part,
      wrong,
      lambda i: f'class id {labels[i]} is outside of 0 to {num_classes - 1}',
    )
  classes = contents.classes
  return of_objects(
    part,
    (classes < 1) | (classes >= num_classes),
    lambda i: (
      f'class id {classes[i]} is outside of 1 to {num_classes - 1} '
      f'(architecture.num_classes is {num_classes})'
    ),
  )


@_check(
  ERROR,
  'class ids that the label map lacks',
  'Give the label map of the same data (eval.label_map_file).',
)
def _unnamed(data: Data, part: Part) -> Optional[Found]:
  if not data.names:
    return None
  known = list(data.names)
  if not data.learns_objects:
    labels = part.contents.labels
    return of_images(
      part,
      (labels >= 0) & ~np.isin(labels, known),
      lambda i: f'class id {labels[i]} has no name',
    )
  classes = part.contents.classes
  return of_objects(
    part,
    (classes > 0) & ~np.isin(classes, known),
    lambda i: f'class id {classes[i]} has no name',
  )


def _box_text(box: np.ndarray) -> str:
  return 'ymin {:g}, xmin {:g}, ymax {:g}, xmax {:g}'.format(*box)


def _of_boxes(part: Part, wrong: np.ndarray) -> Optional[Found]:
  return of_objects(part, wrong, lambda i: _box_text(part.contents.boxes[i]))


def _excess(part: Part) -> np.ndarray:
  """By how much each box sticks out, in sides of the image; NaN counts as 0."""
  boxes = part.contents.boxes
  with np.errstate(invalid='ignore'):
    beyond = np.maximum(-boxes, boxes - 1).max(axis=1, initial=0)
  return np.where(np.isfinite(boxes).all(axis=1), beyond, 0)


@_check(
  ERROR,
  'boxes that are not numbers',
  'A coordinate is NaN or infinite: mend what computed it.',
)
def _not_numbers(data: Data, part: Part) -> Optional[Found]:
  del data  # Unused.
  return _of_boxes(part, ~np.isfinite(part.contents.boxes).all(axis=1))


@_check(
  ERROR,
  'boxes in pixels',
  'Coordinates are stored divided by the height and width of the image.',
)
def _in_pixels(data: Data, part: Part) -> Optional[Found]:
  del data  # Unused.
  return _of_boxes(part, _excess(part) > _IN_PIXELS - 1)


@_check(
  ERROR,
  'boxes outside of the image',
  'Cut them at its edges; they end training. If most boxes do, they are of '
  'another size of the image.',
)
def _outside(data: Data, part: Part) -> Optional[Found]:
  del data  # Unused.
  excess = _excess(part)
  return _of_boxes(
    part,
    (excess > groundtruth_checks.BOX_TOLERANCE) & (excess <= _IN_PIXELS - 1),
  )


@_check(
  ERROR,
  'inverted boxes',
  'ymax has to be at least ymin, and xmax at least xmin: were the columns '
  'mixed up?',
)
def _inverted(data: Data, part: Part) -> Optional[Found]:
  del data  # Unused.
  boxes = part.contents.boxes
  with np.errstate(invalid='ignore'):
    return _of_boxes(part, (boxes[:, 2:] < boxes[:, :2]).any(axis=1))


@_check(
  ERROR,
  'a set whose boxes cannot be meant',
  'Look at it with tools/show_augmentation.py.',
)
def _whole(data: Data, part: Part) -> Optional[Found]:
  contents = part.contents
  if not data.learns_objects or not contents.is_whole:
    return None
  sides = contents.box_sizes.max(axis=1, initial=0)
  sides = sides[np.isfinite(sides)]
  text = whole_set.objection(contents.num_images, sides)
  if not text:
    return None
  return Found(contents.num_images, 'images', text)


@_check(
  WARNING,
  'boxes that stick out of the image',
  'By so little they are taken as they are.',
)
def _beyond(data: Data, part: Part) -> Optional[Found]:
  del data  # Unused.
  excess = _excess(part)
  return _of_boxes(
    part, (excess > _ROUNDING) & (excess <= groundtruth_checks.BOX_TOLERANCE)
  )


@_check(
  WARNING,
  f'boxes under {_TINY:g} pixels in the image that the model sees',
  'Raise output_size of the parser, or leave such objects out: of so few '
  'pixels nothing is learned.',
)
def _tiny(data: Data, part: Part) -> Optional[Found]:
  if not data.learns_objects:
    return None
  rows, boxes = in_model(data, part)
  sides = boxes[:, 2:] - boxes[:, :2]
  wrong = np.zeros(len(part.contents.classes), bool)
  wrong[rows] = sides.min(axis=1, initial=np.inf) < _TINY
  shown = dict(zip(rows, sides))
  return of_objects(
    part, wrong, lambda i: '{1:.2g} x {0:.2g} pixels'.format(*shown[i])
  )


@_check(
  WARNING,
  'images without objects',
  'They teach what is background, if they are really empty.',
)
def _empty(data: Data, part: Part) -> Optional[Found]:
  if not data.learns_objects:
    return None
  return of_images(part, part.contents.counts == 0)


@_check(
  WARNING,
  'objects that no anchor meets',
  'Each gets only the one anchor that is nearest.',
  sampled=False,
)
def _unmet(data: Data, part: Part) -> Optional[Found]:
  of_config = anchor_fit.of_config(data.params)
  if not of_config or part.name != check_list.TRAINING:
    return None
  (anchors, threshold), contents = of_config, part.contents
  rows, boxes = in_model(data, part)
  keep = ~contents.is_crowd[rows] & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
  rows, boxes = rows[keep], boxes[keep]
  is_met = anchor_fit.met(anchors, boxes, threshold)
  if (~is_met).sum() <= _MOST_UNMET * len(rows):
    return None
  wrong = np.zeros(len(contents.classes), bool)
  wrong[rows[~is_met]] = True
  sizes = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
  shares = {
    **_shares(is_met, contents.classes[rows], data.names),
    **{
      name: float(1 - is_met[(low <= sizes) & (sizes < high)].mean())
      for name, low, high in _SIZES
      if ((low <= sizes) & (sizes < high)).any()
    },
  }
  output_size = factory.parser_settings(data.params).output_size
  best = anchor_fit.fit(boxes, tuple(output_size), threshold)
  remedy = None
  if best.share > is_met.mean():
    changes = best.changes()
    remedy = '{}, {} would meet {:.1%}.'.format(
      _flow('architecture', changes['architecture']),
      _flow('anchor', changes['anchor']),
      best.share,
    )
  worst = sorted(shares.items(), key=lambda item: -item[1])
  found = of_objects(part, wrong)
  return found._replace(
    of=f'{found.of} ({100 * (1 - is_met.mean()):.1f} %)',
    example='; '.join(
      f'{share:.0%} of {name}' for name, share in worst[:6] if share >= 0.005
    ),
    remedy=remedy or '',
    details={'unmet_shares': shares, 'suggestion': best._asdict()},
  )


def _flow(block: str, values: Dict[str, Any]) -> str:
  text = ', '.join(f'{key}: {value}' for key, value in values.items())
  return f'{block}: {{{text}}}'


def _shares(
  is_met: np.ndarray, classes: np.ndarray, names: Dict[int, str]
) -> Dict[str, float]:
  """Shares of objects that are not met, by class."""
  return {
    names.get(class_id, str(class_id)): float(
      1 - is_met[classes == class_id].mean()
    )
    for class_id in np.unique(classes).tolist()
  }


def in_model(data: Data, part: Part) -> Tuple[np.ndarray, np.ndarray]:
  """Boxes that can be meant, as the model sees them without jitter.

  Returns:
    int [K], indices of the objects; float32 [K, 4], pixels of the image after
    resizing.
  """
  contents = part.contents
  sizes = contents.sizes[contents.image_indices]
  boxes = contents.boxes
  with np.errstate(invalid='ignore'):
    is_good = (
      np.isfinite(boxes).all(axis=1)
      & (_excess(part) <= groundtruth_checks.BOX_TOLERANCE)
      & (boxes[:, 2:] >= boxes[:, :2]).all(axis=1)
      & (sizes > 0).all(axis=1)
    )
  rows = np.flatnonzero(is_good)
  output_size = factory.parser_settings(data.params).output_size
  return rows, anchor_fit.in_model(boxes[rows], sizes[rows], tuple(output_size))


def class_counts(part: Part) -> Dict[int, int]:
  """Objects by class id, or images of classifiers."""
  contents = part.contents
  classes = contents.classes if len(contents.classes) else contents.labels
  ids, counts = np.unique(classes[classes >= 0], return_counts=True)
  return dict(zip(ids.tolist(), counts.tolist()))


@_check(
  WARNING,
  'classes without objects, or in one set alone',
  'Nothing is learned, or measured, of them: split by class '
  '(tools/create_tf_record.py --split), or lower architecture.num_classes.',
)
def _classes(data: Data, part: Part) -> Optional[Found]:
  if not all(each.contents.is_whole for each in data.parts):
    return None
  counts = class_counts(part)
  # Without names, nobody knows which ids are meant to be there.
  wanted = set(data.names) or set().union(*map(class_counts, data.parts))
  first = 1 if data.learns_objects else 0
  wanted &= set(range(first, data.params.architecture.num_classes))
  missing: List[int] = sorted(wanted - set(counts))
  if not missing:
    return None
  shown = [data.names.get(i, str(i)) for i in missing]
  return Found(
    len(missing),
    f'of {len(wanted)} classes',
    ', '.join(shown[:10]) + (', ...' if shown[10:] else ''),
    details={'classes': shown},
  )
