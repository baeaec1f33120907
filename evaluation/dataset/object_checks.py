"""Checks of objects: their classes, boxes and anchors."""

from typing import Callable, Dict, Optional, Set, Tuple

import numpy as np
import yaml

import evaluation
from configs import factory
from dataloader import groundtruth_checks, parser_generator
from evaluation import evaluator_registry
from evaluation.dataset import anchor_fit
from evaluation.dataset.check_list import (
  ERROR,
  TRAINING,
  WARNING,
  Check,
  Data,
  Finding,
  Part,
)
from evaluation.dataset.record_scan import NO_CLASS
from utils import discovery, mode_keys

discovery.import_submodules(evaluation.__path__, evaluation.__name__)

# A coordinate beyond the image by more than this is no share of its sides.
_IN_PIXELS = 1.0
# Sticking out by less is a matter of rounding to 32 bits.
_ROUNDING = 1e-6
# Pixels of the model's image.
_TINY = 2.0
# Objects that may go without an anchor of their own before it is told.
_MOST_UNMET = 0.01
_SIZES = (('small', 0, 32), ('medium', 32, 96), ('large', 96, np.inf))


def shift(data: Data, used: Set[int]) -> str:
  """What to do if the label map, or all ids that are used, are one off; ''."""
  first, num_classes = data.first_class, data.params.architecture.num_classes
  zero = data.names.get(0, 'background')
  if data.learns_objects and 'background' not in zero.casefold():
    also = ', and to those of the objects' if 0 in used else ''
    return (
      f"The label map calls 0 '{zero}', but 0 is the background: add one to "
      f'each of its ids{also}.'
    )
  known = {i for i in data.names or range(num_classes) if i >= first}
  if {i + 1 for i in used} <= known:
    return 'All ids seem one too low: add one to each, or mend the label map.'
  if {i - 1 for i in used} <= known:
    return (
      'All ids seem one too high: subtract one, or give the label map and '
      'architecture.num_classes that they are of.'
    )
  return ''


def _shift(part: Part) -> str:
  used = set(part.classes[part.classes != NO_CLASS].tolist())
  return shift(part.data, used)


def _class_ids(part: Part) -> Optional[Finding]:
  num_classes = part.data.params.architecture.num_classes
  first, classes = part.data.first_class, part.classes
  is_outside = (classes < first) | (classes >= num_classes)
  found = part.of_classes(
    is_outside & (classes != NO_CLASS),
    lambda i: (
      f'class id {classes[i]} is outside of {first} to {num_classes - 1} '
      f'(architecture.num_classes is {num_classes})'
    ),
  )
  return found and found._replace(remedy=_shift(part))


def _unnamed(part: Part) -> Optional[Finding]:
  names, classes = part.data.names, part.classes
  is_unknown = (classes >= part.data.first_class) & bool(names)
  found = part.of_classes(
    is_unknown & ~np.isin(classes, list(names)),
    lambda i: f'class id {classes[i]} has no name',
  )
  return found and found._replace(remedy=_shift(part))


def _excess(boxes: np.ndarray) -> np.ndarray:
  """By how much each sticks out, in sides of the image; NaN if no number."""
  beyond = np.maximum(-boxes, boxes - 1).max(axis=1, initial=0)
  return np.where(np.isfinite(boxes).all(axis=1), beyond, np.nan)


def _box_check(
  severity: str, title: str, remedy: str, wrong: Callable[..., np.ndarray]
) -> Check:
  """A check of boxes [M, 4] and of what `_excess` says of them."""

  def find(part: Part) -> Optional[Finding]:
    boxes = part.contents.boxes
    with np.errstate(invalid='ignore'):
      return part.of_objects(
        wrong(boxes, _excess(boxes)),
        lambda i: 'ymin {:g}, xmin {:g}, ymax {:g}, xmax {:g}'.format(
          *boxes[i]
        ),
      )

  return Check(severity, title, remedy, find)


def in_model(part: Part) -> Tuple[np.ndarray, np.ndarray]:
  """Boxes that can be meant, as the model sees them without jitter.

  Returns:
    int [K], indices of the objects; float32 [K, 4], pixels of the image after
    resizing.
  """
  boxes = part.contents.boxes
  sizes = part.contents.sizes[part.contents.image_indices]
  with np.errstate(invalid='ignore'):
    is_good = (
      (_excess(boxes) <= groundtruth_checks.BOX_TOLERANCE)
      & (boxes[:, 2:] >= boxes[:, :2]).all(axis=1)
      & (sizes > 0).all(axis=1)
    )
  rows = np.flatnonzero(is_good)
  output_size = factory.parser_settings(part.data.params).output_size
  return rows, anchor_fit.in_model(boxes[rows], sizes[rows], tuple(output_size))


def _tiny(part: Part) -> Optional[Finding]:
  if not part.data.learns_objects:
    return None
  rows, boxes = in_model(part)
  sides = np.full([len(part.contents.classes), 2], np.inf)
  sides[rows] = boxes[:, 2:] - boxes[:, :2]
  return part.of_objects(
    sides.min(axis=1) < _TINY,
    lambda i: '{1:.2g} x {0:.2g} pixels'.format(*sides[i]),
  )


def met(
  part: Part,
) -> Optional[Tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
  """Which objects the anchors of a config meet.

  Returns:
    int [K], indices of the objects that are learned and have an area; float32
    [K, 4], their boxes as of `in_model`; bool [K], whether an anchor meets
    each; the IoU from which one does. None of a model without anchors.
  """
  of_config = anchor_fit.of_config(part.data.params)
  if not of_config:
    return None
  anchors, threshold = of_config
  rows, boxes = in_model(part)
  keep = part.is_learned[rows] & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
  rows, boxes = rows[keep], boxes[keep]
  return rows, boxes, anchor_fit.met(anchors, boxes, threshold), threshold


def _unmet(part: Part) -> Optional[Finding]:
  found = met(part)
  if not found:
    return None
  rows, boxes, is_met, threshold = found
  if (~is_met).sum() <= _MOST_UNMET * len(rows):
    return None
  classes = part.contents.classes[rows]
  sizes = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
  groups = {part.data.name(i): classes == i for i in np.unique(classes)}
  groups.update((n, (a <= sizes) & (sizes < b)) for n, a, b in _SIZES)
  shares = {
    name: float(1 - is_met[group].mean())
    for name, group in groups.items()
    if group.any()
  }
  output_size = factory.parser_settings(part.data.params).output_size
  best = anchor_fit.fit(boxes, tuple(output_size), threshold)
  larger = f'{part.data.params.architecture.parser}.output_size'
  remedy = f'Enlarge {larger}: at this one, fitted anchors meet no more.'
  if best.share > is_met.mean():
    text = yaml.safe_dump(
      best.changes(), default_flow_style=True, sort_keys=False, width=1000
    )
    remedy = (
      f'Enlarge {larger}, or fit the anchors: {text.strip()[1:-1]} would meet '
      f'{best.share:.1%}.'
    )
  told = part.of_objects(
    np.isin(np.arange(len(part.contents.classes)), rows[~is_met])
  )
  worst = sorted(shares.items(), key=lambda item: -item[1])
  return told._replace(
    of=f'{told.of} ({100 * (1 - is_met.mean()):.1f} %)',
    example='; '.join(
      f'{share:.0%} of {name}' for name, share in worst[:6] if share >= 0.005
    ),
    remedy=remedy,
    details={'unmet_shares': shares, 'suggestion': best._asdict()},
  )


def max_objects(part: Part) -> Optional[int]:
  """Objects of an image that labels hold, if some of them may be lost."""
  params, mode = part.data.params, mode_keys.TRAIN
  if part.name != TRAINING:
    mode = mode_keys.PREDICT_WITH_GT
    if params.eval.type == evaluator_registry.LOSSES_ALONE:
      return None
    evaluator = evaluator_registry.EVALUATORS.get(params.eval.type)
    if not evaluator.streams_groundtruth(params):
      return None
  return parser_generator.parser_generator(params, mode).max_objects


def _cut(part: Part) -> Optional[Finding]:
  limit = max_objects(part)
  if limit is None:
    return None
  counts = part.counts
  cut = np.maximum(counts - limit, 0)
  found = part.of_images(cut > 0, lambda i: f'{counts[i]} objects')
  return found and found._replace(
    images=np.argsort(-cut, kind='stable')[: found.count].tolist(),
    remedy=(
      f'{part.data.params.architecture.parser}.max_num_instances: {limit} cuts '
      f'{cut.sum():,} objects; {counts.max()} would hold all.'
    ),
    details={'objects_cut': int(cut.sum()), 'most_objects': int(counts.max())},
  )


def class_counts(part: Part) -> Dict[int, int]:
  """Objects by class id, or images of classifiers."""
  classes = part.classes
  ids, counts = np.unique(classes[classes >= 0], return_counts=True)
  return dict(zip(ids.tolist(), counts.tolist()))


def _num_classes(part: Part) -> Optional[Finding]:
  data, num_classes = part.data, part.data.params.architecture.num_classes
  # Once is enough.
  if part.training or not data.names:
    return None
  named = max(data.names) + 1
  # Other checks tell of classes that the label map lacks.
  used = set().union(*map(class_counts, data.parts))
  needed = max(named, max(used, default=0) + 1)
  if num_classes in (named, needed):
    return None
  return Finding(
    part,
    num_classes,
    'with the background',
    f'the largest id is {needed - 1}',
    remedy=f'architecture.num_classes: {needed} would fit.',
  )


def _missing_classes(part: Part) -> Optional[Finding]:
  data = part.data
  if data.learned.images and not data.learns_objects:
    return None  # Label maps, which are not decoded.
  # Without names, nobody knows which ids are meant to be there.
  wanted = set(data.names) or set().union(*map(class_counts, data.parts))
  wanted &= set(range(data.first_class, data.params.architecture.num_classes))
  missing = [data.name(i) for i in sorted(wanted - set(class_counts(part)))]
  return part.of_texts(
    missing, f'of {len(wanted)} classes', 10, details={'classes': missing}
  )


def _empty(part: Part) -> Optional[Finding]:
  return part.of_images((part.contents.counts == 0) & part.data.learns_objects)


CHECKS = [
  Check(
    ERROR,
    'class ids outside of what the model has',
    'architecture.num_classes is the largest id plus one; 0 is the background.',
    _class_ids,
  ),
  Check(
    ERROR,
    'class ids that the label map lacks',
    'Give the label map of the same data (eval.label_map_file).',
    _unnamed,
  ),
  Check(
    WARNING,
    'a number of classes that does not fit the label map',
    'architecture.num_classes is the largest id plus one.',
    _num_classes,
  ),
  _box_check(
    ERROR,
    'boxes that are not numbers',
    'A coordinate is NaN or infinite: mend what computed it.',
    lambda boxes, excess: np.isnan(excess),
  ),
  _box_check(
    ERROR,
    'boxes in pixels',
    'Coordinates are stored divided by the height and width of the image.',
    lambda boxes, excess: excess > _IN_PIXELS,
  ),
  _box_check(
    ERROR,
    'boxes outside of the image',
    'Cut them at its edges; they end training. If most boxes do, they are of '
    'another size of the image.',
    lambda boxes, excess: (
      (excess > groundtruth_checks.BOX_TOLERANCE) & (excess <= _IN_PIXELS)
    ),
  ),
  _box_check(
    ERROR,
    'inverted boxes',
    'ymax has to be at least ymin, and xmax at least xmin: were the columns '
    'mixed up?',
    lambda boxes, excess: (boxes[:, 2:] < boxes[:, :2]).any(axis=1),
  ),
  _box_check(
    WARNING,
    'boxes that stick out of the image',
    'By so little they are taken as they are.',
    lambda boxes, excess: (
      (excess > _ROUNDING) & (excess <= groundtruth_checks.BOX_TOLERANCE)
    ),
  ),
  Check(
    WARNING,
    f'boxes under {_TINY:g} pixels in the image that the model sees',
    'Raise output_size of the parser, or leave such objects out: of so few '
    'pixels nothing is learned.',
    _tiny,
  ),
  Check(
    WARNING,
    'images without objects',
    'They teach what is background, if they are really empty.',
    _empty,
  ),
  Check(
    WARNING,
    'images with more objects than labels hold',
    'The rest of them is left out.',
    _cut,
  ),
  Check(
    WARNING,
    'objects that no anchor meets',
    'Enlarge output_size of the parser, or fit the anchors.',
    _unmet,
    TRAINING,
    sampled=False,
  ),
  Check(
    WARNING,
    'classes without objects, or in one set alone',
    'Nothing is learned, or measured, of them. Are class ids shifted by one? '
    'If not, split by class (tools/create_tf_record.py --split).',
    _missing_classes,
    sampled=False,
  ),
]
