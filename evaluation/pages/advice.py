"""Advice of a report: what the numbers carry, and the key to change."""

import functools
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from evaluation.analysis import analysis as analysis_lib
from evaluation.analysis import error_types
from evaluation.analysis.analysis import FEW_OBJECTS

# Pixels of a side at the model's input; a stride of 8 sees two cells of it.
_SMALL_SIDE = 16
# Of a rule, what it needs to speak up: cases, their share, AP50 lost.
_CASES, _SHARE, _LOST = 10, 0.1, 0.02
# Of AP50 and AP.
_FOUND, _RISE = 0.05, 0.02
# Above the least score that is kept.
_NEAR = 0.05


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


class Advice(NamedTuple):
  """A piece of advice.

  Attributes:
    applies: gives what the evidence is filled with, None if it does not hold.
    evidence: what was seen, with its number.
    remedy: what to do.
    key: of the config.
  """

  applies: Callable[[Facts], Optional[Sequence[Any]]]
  evidence: str
  remedy: str
  key: str


def advise(facts: Facts) -> List[Advice]:
  """Returns the advice that the numbers carry, in order of value."""
  parser = facts.params and facts.params.architecture.parser
  found = []
  for advice in _RULES:
    values = advice.applies(facts)
    if values is not None:
      texts = (
        text.format(*values, parser=parser or '<parser>') for text in advice[1:]
      )
      found.append(Advice(advice.applies, *texts))
  return found


def _cut_objects(facts):
  if not facts.params:
    return None
  counts = np.bincount(_objects(facts).images)
  limit = facts.params.lookup('postprocess.max_total_size')
  lost = np.maximum(counts - limit, 0)
  values = limit, int((lost > 0).sum()), len(facts.scales), int(lost.sum())
  return values if lost.any() else None


def _objects(facts):
  return facts.analysis.objects[~facts.analysis.objects.is_crowd]


def _never_found(facts):
  classes = facts.analysis.classes
  lost = [
    c for c in classes if c['objects'] >= FEW_OBJECTS and c['AP50'] < _FOUND
  ]
  if not lost:
    return None
  return len(lost), len(classes), lost[0]['name'], lost[0]['objects']


def _small_missed(facts):
  objects = _objects(facts)
  missed = ~facts.analysis.found[~facts.analysis.objects.is_crowd]
  small = np.sqrt(objects.areas) * facts.scales[objects.images] < _SMALL_SIDE
  if (missed & small).sum() < _CASES or small.all():
    return None
  share = small[missed].mean()
  if share < 0.25 or missed[small].mean() < 1.5 * missed[~small].mean():
    return None
  size = 'the image size of the model' if facts.params else 'their image size'
  return 100 * share, missed.sum(), _SMALL_SIDE, size


def _confused(facts):
  matrix = facts.analysis.confusion
  taken = matrix[:-1, :-1].copy()
  np.fill_diagonal(taken, 0)
  true, claimed = matrix[:-1].sum(axis=1), matrix[:, :-1].sum(axis=0)
  # Of a rare class, what is claimed of it may be wrong mostly.
  most = np.maximum(np.minimum.outer(true, claimed), 1)
  shares = np.where(taken < _CASES, 0, taken / most)
  if shares.max() < _SHARE:
    return None
  i, j = np.unravel_index(shares.argmax(), shares.shape)
  names = [facts.analysis.classes[k]['name'] for k in (i, j)]
  return (taken[i, j], true[i], *names, claimed[j])


def _same_place(facts):
  verdicts, kept = facts.analysis.verdicts, facts.analysis.kept
  wrong = kept & (verdicts.types == error_types.TYPES.index('classification'))
  count = int(facts.analysis.found[verdicts.objects[wrong]].sum())
  if count < max(_CASES, _SHARE * kept.sum()):
    return None
  return count, kept.sum()


def _dear(error, facts):
  lost = facts.analysis.errors.lost[error]
  column = error_types.ERRORS.index(error)
  count = facts.analysis.errors.counts[:, column].sum()
  return (count, lost) if lost >= _LOST and count >= _CASES else None


def _missed(is_cut, facts):
  """What is missed, where many of the least scores are right, or are not.

  Then lower ones would be, too, unless training is to change all scores.
  """
  values = _dear('missed', facts)
  if values is None:
    return None
  scores, types = (
    facts.analysis.detections.scores,
    facts.analysis.verdicts.types,
  )
  least = scores.min(initial=1.0)
  if facts.params:
    least = facts.params.lookup('postprocess.score_threshold')
  is_low = scores < least + _NEAR
  right = int((types[is_low] == error_types.TRUE).sum())
  carries = right >= max(_CASES, _SHARE * is_low.sum())
  if is_cut != (carries and not _course(True, facts)):
    return None
  return (*values, right, is_low.sum(), least + _NEAR)


def _course(is_rising, facts):
  """Whether AP still rises at the end, or has fallen since its best."""
  values = [(e['metrics'].get('AP'), e['step']) for e in facts.history]
  values = [value for value in values if value[0] is not None]
  if len(values) < 3:
    return None
  best = max(values)
  if is_rising:
    holds = best == values[-1] and best[0] - values[-2][0] > _RISE
  else:
    holds = best[0] - values[-1][0] > _RISE
  return (*(values[-2] if is_rising else best), *values[-1]) if holds else None


def _few_objects(facts):
  classes = facts.analysis.classes
  few = [c for c in classes if 0 < c['objects'] < FEW_OBJECTS]
  if not few:
    return None
  least = min(few, key=lambda entry: entry['objects'])
  return (
    len(few),
    len(classes),
    FEW_OBJECTS,
    least['name'],
    least['objects'],
  )


_RULES = (
  Advice(
    _cut_objects,
    'More than the {} objects that can be detected are in {:,} of {:,} images: '
    '{:,} objects are missed in any case.',
    'Allow more detections, and as many objects in training '
    '({parser}.max_num_instances).',
    'postprocess.max_total_size',
  ),
  Advice(
    _never_found,
    "Hardly found at all: {} of {} classes, '{}' with {:,} objects.",
    'Train longer, look whether anchors meet them (tools/check_dataset.py), '
    'and whether their annotations are of the same kind in both sets.',
    'train.total_steps',
  ),
  Advice(
    _small_missed,
    '{:.0f} % of {:,} missed objects are under {} pixels at {}.',
    'Train and evaluate on larger images.',
    '{parser}.output_size',
  ),
  Advice(
    _confused,
    "{:,} of {:,} objects '{}' are taken for '{}', of which there are {:,} "
    'detections.',
    'Look at both in the galleries: are the annotations of one mind? Else add '
    "images of '{2}', or make one class of both.",
    'train.train_file_pattern',
  ),
  Advice(
    _same_place,
    '{:,} of {:,} detections are of an object that one of the right class has '
    'found.',
    'Keep one class at a place.',
    'postprocess.class_agnostic_nms',
  ),
  Advice(
    functools.partial(_dear, 'duplicate'),
    '{:,} detections are of objects that a better one has found, which costs '
    '{:.3f} AP50.',
    'Lower the overlap that two detections may have.',
    'postprocess.nms_iou_threshold',
  ),
  Advice(
    functools.partial(_dear, 'background'),
    '{:,} detections are where there is no object, which costs {:.3f} AP50.',
    'Look at the dearest of them for objects without annotation; else add '
    'images of what is mistaken, also without any object.',
    'train.train_file_pattern',
  ),
  Advice(
    functools.partial(_dear, 'localisation'),
    '{:,} detections have the right class, but an IoU below 0.5, which costs '
    '{:.3f} AP50.',
    'Fit the anchors to the objects (tools/check_dataset.py), train longer, or '
    'on larger images.',
    'anchor.aspect_ratios',
  ),
  Advice(
    functools.partial(_missed, True),
    '{:,} objects are found by no detection at all, which costs {:.3f} AP50, '
    'and {:,} of {:,} detections scored below {:.2f} are right.',
    'Lower the least score.',
    'postprocess.score_threshold',
  ),
  Advice(
    functools.partial(_missed, False),
    '{:,} objects are found by no detection at all, which costs {:.3f} AP50.',
    'See whether anchors meet these objects (tools/check_dataset.py), and '
    'train longer.',
    'anchor.anchor_size',
  ),
  Advice(
    functools.partial(_course, True),
    'AP still rises: {:.3f} at step {:,}, {:.3f} at {:,}.',
    'Train longer.',
    'train.total_steps',
  ),
  Advice(
    functools.partial(_course, False),
    'AP was {:.3f} at step {:,}, and is {:.3f} at {:,}.',
    'Stop there, or learn from more images.',
    'train.early_stop_evaluations',
  ),
  Advice(
    _few_objects,
    "{} of {} classes have fewer than {} objects here, '{}' {}.",
    'Do not read much into their AP; evaluate on more images of them.',
    'eval.eval_file_pattern',
  ),
)
