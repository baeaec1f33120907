"""Each piece of advice: numbers that carry it, and numbers that do not."""

import numpy as np
import pytest

from configs import factory
from evaluation.analysis import analysis as analysis_lib
from evaluation.analysis import error_types
from evaluation.pages import advice

_WRONG_CLASS = error_types.TYPES.index('classification')


def _objects(areas, found):
  objects = np.rec.fromarrays(
    [np.zeros(len(areas), int), areas, np.zeros(len(areas), bool)],
    names='images, areas, is_crowd',
  )
  return {'objects': objects, 'found': np.array(found)}


def _of_two_classes(count):
  """50 right detections, and some of another class of the same objects."""
  types = np.array([error_types.TRUE] * 50 + [_WRONG_CLASS] * count)
  about = np.array([*range(50), *range(count)])
  verdicts = error_types.Verdicts(types, about, None, None, None)
  return {'verdicts': verdicts, 'kept': types >= 0, **_scored(types.size)}


def _scored(count, num_low=0):
  """Scores from 0.2 to 0.9, and some right above 0.05."""
  scores = np.linspace(0.2, 0.9, count)
  scores[:num_low] = 0.06
  return {'detections': np.rec.fromarrays([scores], names='scores')}


def _class(name, objects, ap_50=0.7):
  return {'name': name, 'objects': objects, 'AP50': ap_50}


def _errors(**changes):
  lost = dict.fromkeys(error_types.ERRORS, 0.0)
  counts = np.zeros([2, 6], int)
  for name, (cost, count) in changes.items():
    lost[name] = cost
    counts[0, error_types.ERRORS.index(name)] = count
  return error_types.Errors(0.7, lost, counts)


def _facts(params=None, history=(), num_images=1, scale=1.0, **changes):
  """Facts that carry no advice, but for what is changed."""
  values = {
    **dict.fromkeys(analysis_lib.Analysis._fields),
    'classes': [_class('cat', 50), _class('dog', 50)],
    'confusion': np.diag([40, 40, 0]),
    'errors': _errors(),
    **_of_two_classes(0),
    **_objects([1600.0] * 50, [True] * 50),
    **changes,
  }
  return advice.Facts(
    analysis_lib.Analysis(**values),
    np.full(num_images, scale),
    params,
    history,
  )


def _course(*values):
  return [
    {'step': 100 * i, 'metrics': {'AP': value}}
    for i, value in enumerate(values)
  ]


def _small(num_missed_small):
  """20 small objects, some of them missed, and 30 large ones, 6 missed."""
  areas = [100.0] * 20 + [1600.0] * 30
  kept = [i >= num_missed_small for i in range(20)] + [False] * 6 + [True] * 24
  return _objects(areas, kept)


_PARAMS = factory.config_generator('retinanet')
_HALF_MISSED = _objects([3600.0] * 20 + [1e5] * 20, [False] * 20 + [True] * 20)
_CROWDED = _objects([1600.0] * 120, [True] * 120)

_CASES = [
  (
    _facts(**_small(12)),
    _facts(**_small(9)),
    '67 % of 18 missed objects are under 16 pixels at their image size.',
    '<parser>.output_size',
  ),
  (
    _facts(_PARAMS, **_HALF_MISSED, scale=0.25),
    _facts(_PARAMS, **_HALF_MISSED, scale=0.5),
    '100 % of 20 missed objects are under 16 pixels at the image size of the '
    'model.',
    'retinanet_parser.output_size',
  ),
  (
    _facts(_PARAMS, **_CROWDED),
    _facts(**_CROWDED),
    'More than the 100 objects that can be detected are in 1 of 1 images: 20 '
    'objects are missed in any case.',
    'postprocess.max_total_size',
  ),
  *(
    (
      _facts(errors=_errors(**{error: (0.021, 10)})),
      _facts(errors=_errors(**{error: (0.019, 50)})),
      evidence,
      key,
    )
    for error, evidence, key in (
      (
        'missed',
        '10 objects are found by no detection at all, which costs 0.021 AP50.',
        'anchor.anchor_size',
      ),
      (
        'localisation',
        '10 detections have the right class, but an IoU below 0.5, which costs '
        '0.021 AP50.',
        'anchor.aspect_ratios',
      ),
      (
        'background',
        '10 detections are where there is no object, which costs 0.021 AP50.',
        'train.train_file_pattern',
      ),
      (
        'duplicate',
        '10 detections are of objects that a better one has found, which costs '
        '0.021 AP50.',
        'postprocess.nms_iou_threshold',
      ),
    )
  ),
  (
    _facts(**_of_two_classes(10)),
    _facts(**_of_two_classes(9)),
    '10 of 60 detections are of an object that one of the right class has '
    'found.',
    'postprocess.class_agnostic_nms',
  ),
  (
    _facts(confusion=np.array([[30, 12, 8], [3, 40, 7], [90, 90, 0]])),
    _facts(confusion=np.array([[30, 9, 11], [3, 40, 7], [90, 90, 0]])),
    "12 of 50 objects 'cat' are taken for 'dog', of which there are 142 "
    'detections.',
    'train.train_file_pattern',
  ),
  (
    _facts(confusion=np.array([[900, 12, 8], [0, 80, 7], [90, 20, 0]])),
    _facts(confusion=np.array([[900, 12, 8], [0, 120, 7], [90, 20, 0]])),
    "12 of 920 objects 'cat' are taken for 'dog', of which there are 112 "
    'detections.',
    'train.train_file_pattern',
  ),
  (
    _facts(classes=[_class('cat', 19), _class('dog', 3)]),
    _facts(classes=[_class('cat', 20), _class('dog', 0)]),
    "2 of 2 classes have fewer than 20 objects here, 'dog' 3.",
    'eval.eval_file_pattern',
  ),
  (
    _facts(classes=[_class('cat', 50), _class('dog', 20, 0.04)]),
    _facts(classes=[_class('cat', 50), _class('dog', 20, 0.06)]),
    "Hardly found at all: 1 of 2 classes, 'dog' with 20 objects.",
    'train.total_steps',
  ),
  (
    _facts(history=_course(0.1, 0.2, 0.25)),
    _facts(history=_course(0.1, 0.2, 0.21)),
    'AP still rises: 0.200 at step 100, 0.250 at 200.',
    'train.total_steps',
  ),
  (
    _facts(history=_course(0.1, 0.3, 0.25)),
    _facts(history=_course(0.3, 0.25)),
    'AP was 0.300 at step 100, and is 0.250 at 200.',
    'train.early_stop_evaluations',
  ),
]


@pytest.mark.parametrize('carries, does_not, evidence, key', _CASES)
def test_advice(carries, does_not, evidence, key):
  (found,) = advice.advise(carries)
  assert (found.evidence, found.key) == (evidence, key)
  assert advice.advise(does_not) == []


def _about_missed(num_low, history=()):
  facts = _facts(
    _PARAMS,
    history,
    errors=_errors(missed=(0.021, 10)),
    **_scored(50, num_low),
  )
  (found,) = [a for a in advice.advise(facts) if 'no detection' in a.evidence]
  return found.evidence, found.key


def test_lower_scores_help_where_the_least_ones_are_right():
  missed = '10 objects are found by no detection at all, which costs 0.021 AP50'
  assert _about_missed(10) == (
    f'{missed}, and 10 of 10 detections scored below 0.10 are right.',
    'postprocess.score_threshold',
  )
  other = f'{missed}.', 'anchor.anchor_size'
  assert _about_missed(9) == other
  # All scores are still to change.
  assert _about_missed(10, _course(0.1, 0.2, 0.25)) == other


def test_keys_exist():
  for *_, key in _CASES:
    if key and not key.startswith('<'):
      _PARAMS.lookup(key)
