"""Advice of a report: what the numbers carry, and the key to change."""

from typing import (
  Any,
  Callable,
  Dict,
  Iterator,
  List,
  NamedTuple,
  Optional,
  Sequence,
)

import numpy as np

from evaluation.analysis import analysis as analysis_lib
from evaluation.analysis import error_types

# Pixels of a side at the model's input; a stride of 8 sees two cells of it.
_SMALL_SIDE = 16
# Of a rule, what it needs to speak up: cases, their share, AP50 lost.
_CASES, _SHARE, _LOST = 10, 0.1, 0.02
_FEW_OBJECTS, _WIDE, _CALIBRATION = 20, 0.1, 0.15
# Of AP50 and AP.
_FOUND, _RISE = 0.05, 0.02


class Advice(NamedTuple):
  """A piece of advice.

  Attributes:
    evidence: what was seen, with its number.
    remedy: what to do.
    key: of the config, or ''.
  """

  evidence: str
  remedy: str
  key: str = ''


class Facts(NamedTuple):
  """What the rules know.

  Attributes:
    analysis: the numbers.
    scales: float [N], pixels at the model's input for one of each image.
    params: the whole config, if known.
    history: evaluations of the run as of `report.read_history`.
  """

  analysis: analysis_lib.Analysis
  scales: np.ndarray
  params: Optional[Any] = None
  history: Sequence[Dict[str, Any]] = ()

  def parser_key(self, name: str) -> str:
    parser = self.params and self.params.architecture.parser
    return f'{parser or "<parser>"}.{name}'


def advise(facts: Facts) -> List[Advice]:
  """Returns the advice that the numbers carry, in order of value."""
  return [found for rule in _RULES for found in rule(facts)]


def _small_missed(facts: Facts) -> Iterator[Advice]:
  objects = facts.analysis.objects
  sides = np.sqrt(objects.areas) * facts.scales[objects.images]
  missed, small = ~objects.kept, sides < _SMALL_SIDE
  count = int((missed & small).sum())
  if count < _CASES or not (~small).any():
    return
  share = count / missed.sum()
  if share < 0.25 or missed[small].mean() < 1.5 * missed[~small].mean():
    return
  size = 'the image size of the model' if facts.params else 'their image size'
  yield Advice(
    f'{100 * share:.0f} % of {missed.sum():,} missed objects are under '
    f'{_SMALL_SIDE} pixels at {size}.',
    'Train and evaluate on larger images.',
    facts.parser_key('output_size'),
  )


def _cut_objects(facts: Facts) -> Iterator[Advice]:
  if not facts.params:
    return
  counts = np.bincount(facts.analysis.objects.images)
  limit = facts.params.lookup('postprocess.max_total_size')
  images = int((counts > limit).sum())
  if not images:
    return
  lost = int(np.maximum(counts - limit, 0).sum())
  yield Advice(
    f'More than the {limit} objects that can be detected are in {images:,} of '
    f'{len(facts.scales):,} images: {lost:,} objects are missed in any case.',
    'Allow more detections, and as many objects in training '
    f'({facts.parser_key("max_num_instances")}).',
    'postprocess.max_total_size',
  )


# By type of error: evidence, remedy, key.
_REMEDIES = {
  'duplicate': (
    '{:,} detections are of objects that a better one has found, which costs '
    '{:.3f} AP50.',
    'Lower the overlap that two detections may have.',
    'postprocess.nms_iou_threshold',
  ),
  'background': (
    '{:,} detections are where there is no object, which costs {:.3f} AP50.',
    'Look at the dearest of them for objects without annotation; else add '
    'images of what is mistaken, also without any object.',
    'train.train_file_pattern',
  ),
  'localisation': (
    '{:,} detections have the right class, but an IoU below 0.5, which costs '
    '{:.3f} AP50.',
    'Fit the anchors to the objects (tools/check_dataset.py), train longer, or '
    'on larger images.',
    'anchor.aspect_ratios',
  ),
  'missed': (
    '{:,} objects are found by no detection at all, which costs {:.3f} AP50.',
    'Lower the least score, and see whether anchors meet these objects '
    '(tools/check_dataset.py).',
    'postprocess.score_threshold',
  ),
}


def _dear_errors(facts: Facts) -> Iterator[Advice]:
  errors = facts.analysis.errors
  for error, (evidence, remedy, key) in _REMEDIES.items():
    lost, count = errors.lost[error], errors.counts[error]
    if lost >= _LOST and count >= _CASES:
      yield Advice(evidence.format(count, lost), remedy, key)


def _same_place(facts: Facts) -> Iterator[Advice]:
  detections, objects = facts.analysis.detections, facts.analysis.objects
  of_wrong_class = detections.kept & (
    detections.types == error_types.TYPES.index('classification')
  )
  found = objects.kept[detections.objects[of_wrong_class]]
  count = int(found.sum())
  if count < _CASES or count < _SHARE * detections.kept.sum():
    return
  yield Advice(
    f'{count:,} of {detections.kept.sum():,} detections are of an object that '
    'one of the right class has found.',
    'Keep one class at a place.',
    'postprocess.class_agnostic_nms',
  )


def _confused(facts: Facts) -> Iterator[Advice]:
  matrix = facts.analysis.confusion
  taken = matrix[:-1, :-1].copy()
  np.fill_diagonal(taken, 0)
  # Of a rare class, what is claimed of it may be wrong mostly.
  most = np.minimum.outer(matrix[:-1].sum(axis=1), matrix[:, :-1].sum(axis=0))
  shares = np.where(taken < _CASES, 0, taken / np.maximum(most, 1))
  if shares.max() < _SHARE:
    return
  true, claimed = np.unravel_index(shares.argmax(), shares.shape)
  names = [facts.analysis.classes[i].name for i in (true, claimed)]
  yield Advice(
    "{:,} of {:,} objects '{}' are taken for '{}', of which there are {:,} "
    'detections.'.format(
      taken[true, claimed],
      matrix[true].sum(),
      *names,
      matrix[:, claimed].sum(),
    ),
    'Look at both in the galleries: are the annotations of one mind? Else add '
    f"images of '{names[0]}', or make one class of both.",
    'train.train_file_pattern',
  )


def _calibration(facts: Facts) -> Iterator[Advice]:
  values = facts.analysis.calibration
  if values.counts.sum() < 10 * _CASES or values.error < _CALIBRATION:
    return
  filled = values.counts > 0
  excess = np.average(
    values.scores[filled] - values.precisions[filled],
    weights=values.counts[filled],
  )
  yield Advice(
    f'Scores are off the share of right detections by {values.error:.2f} on '
    f'average, and mostly too {"high" if excess > 0 else "low"}.',
    'Do not read them as probabilities; take the best score of each class '
    'from the table of classes.',
  )


def _never_found(facts: Facts) -> Iterator[Advice]:
  lost = [
    entry
    for entry in facts.analysis.classes
    if entry.objects >= _FEW_OBJECTS and entry.AP50 < _FOUND
  ]
  if not lost:
    return
  yield Advice(
    "Hardly found at all: {} of {} classes, '{}' with {:,} objects.".format(
      len(lost), len(facts.analysis.classes), lost[0].name, lost[0].objects
    ),
    'Train longer, look whether anchors meet them (tools/check_dataset.py), '
    'and whether their annotations are of the same kind in both sets.',
    'train.total_steps',
  )


def _few_objects(facts: Facts) -> Iterator[Advice]:
  few = [c for c in facts.analysis.classes if 0 < c.objects < _FEW_OBJECTS]
  if not few:
    return
  least = min(few, key=lambda entry: entry.objects)
  yield Advice(
    f'{len(few)} of {len(facts.analysis.classes)} classes have fewer than '
    f"{_FEW_OBJECTS} objects here, '{least.name}' {least.objects}.",
    'Do not read much into their AP; evaluate on more images of them.',
    'eval.eval_file_pattern',
  )


def _wide_interval(facts: Facts) -> Iterator[Advice]:
  low, high = facts.analysis.intervals['AP']
  if high - low < _WIDE:
    return
  yield Advice(
    f'With {len(facts.analysis.images.ids):,} images, AP is anywhere from '
    f'{low:.3f} to {high:.3f}.',
    'Compare runs by tools/report.py --compare, which uses the same images, '
    'or evaluate on more.',
    'eval.eval_file_pattern',
  )


def _course(facts: Facts) -> Iterator[Advice]:
  """Whether AP still rises at the end, or falls."""
  entries = [e for e in facts.history if e['metrics'].get('AP') is not None]
  if len(entries) < 3:
    return
  steps = [entry['step'] for entry in entries]
  values = [entry['metrics']['AP'] for entry in entries]
  best = int(np.argmax(values))
  if best == len(values) - 1 and values[-1] - values[-2] > _RISE:
    yield Advice(
      f'AP still rises: {values[-2]:.3f} at step {steps[-2]:,}, '
      f'{values[-1]:.3f} at {steps[-1]:,}.',
      'Train longer.',
      'train.total_steps',
    )
  elif values[best] - values[-1] > _RISE:
    yield Advice(
      f'AP was {values[best]:.3f} at step {steps[best]:,}, and is '
      f'{values[-1]:.3f} at {steps[-1]:,}.',
      'Stop there, or learn from more images.',
      'train.early_stop_evaluations',
    )


_RULES: Sequence[Callable[[Facts], Iterator[Advice]]] = (
  _cut_objects,
  _never_found,
  _small_missed,
  _confused,
  _same_place,
  _dear_errors,
  _course,
  _calibration,
  _few_objects,
  _wide_interval,
)
