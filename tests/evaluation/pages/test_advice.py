"""Each piece of advice: numbers that carry it, and numbers that do not."""

import numpy as np
import pytest

from configs import factory
from evaluation.analysis import analysis as analysis_lib
from evaluation.analysis import error_types, scores
from evaluation.pages import advice

_RIGHT = error_types.TYPES.index('true positive')
_WRONG_CLASS = error_types.TYPES.index('classification')


def _objects(areas, kept, images=None):
  count = len(areas)
  zeros = np.zeros(count, int)
  return analysis_lib.Objects(
    rows=np.arange(count),
    images=zeros if images is None else np.array(images),
    classes=zeros,
    areas=np.array(areas, float),
    detections=zeros - 1,
    missed=~np.array(kept, bool),
    kept=np.array(kept, bool),
  )


def _detections(types, objects):
  count = len(types)
  zeros = np.zeros(count, int)
  return analysis_lib.Detections(
    rows=np.arange(count),
    images=zeros,
    classes=zeros,
    scores=np.ones(count),
    types=np.array(types, int),
    objects=np.array(objects, int),
    ious=np.ones(count),
    kept=np.ones(count, bool),
  )


def _of_two_classes(count):
  """50 right detections, and some of another class of the same objects."""
  types = [_RIGHT] * 50 + [_WRONG_CLASS] * count
  return _detections(types, [*range(50), *range(count)])


def _class(class_id, name, objects, ap_50=0.7):
  return analysis_lib.ClassNumbers(
    class_id, name, objects, 0.5, ap_50, 0.5, 0.6, 0.8, 0.4
  )


def _errors(**changes):
  lost = dict.fromkeys(error_types.ERRORS, 0.0)
  counts = dict.fromkeys(error_types.ERRORS, 0)
  for name, (cost, count) in changes.items():
    lost[name], counts[name] = cost, count
  return error_types.Errors(0.7, lost, 0.1, 0.1, counts, np.zeros([2, 6], int))


def _calibration(score, precision):
  return scores.Calibration(
    np.linspace(0, 1, 11),
    np.array([0] * 9 + [200]),
    np.array([np.nan] * 9 + [score]),
    np.array([np.nan] * 9 + [precision]),
    abs(score - precision),
  )


def _facts(params=None, history=(), num_images=1, scale=1.0, **changes):
  """Facts that carry no advice, but for what is changed."""
  values = {
    **dict.fromkeys(analysis_lib.Analysis._fields),
    'intervals': {'AP': (0.48, 0.52)},
    'classes': [_class(1, 'cat', 50), _class(2, 'dog', 50)],
    'confusion': np.diag([40, 40, 0]),
    'calibration': _calibration(0.95, 0.9),
    'errors': _errors(),
    'detections': _detections([_RIGHT] * 50, range(50)),
    'objects': _objects([1600.0] * 50, [True] * 50),
    'images': analysis_lib.Images(*[np.arange(num_images)] * 5),
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
    _facts(objects=_small(12)),
    _facts(objects=_small(9)),
    '67 % of 18 missed objects are under 16 pixels at their image size.',
    '<parser>.output_size',
  ),
  (
    _facts(_PARAMS, objects=_HALF_MISSED, scale=0.25),
    _facts(_PARAMS, objects=_HALF_MISSED, scale=0.5),
    '100 % of 20 missed objects are under 16 pixels at the image size of the '
    'model.',
    'retinanet_parser.output_size',
  ),
  (
    _facts(_PARAMS, objects=_CROWDED),
    _facts(objects=_CROWDED),
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
        'postprocess.score_threshold',
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
    _facts(detections=_of_two_classes(10)),
    _facts(detections=_of_two_classes(9)),
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
    _facts(calibration=_calibration(0.95, 0.7)),
    _facts(calibration=_calibration(0.95, 0.81)),
    'Scores are off the share of right detections by 0.25 on average, and '
    'mostly too high.',
    '',
  ),
  (
    _facts(calibration=_calibration(0.7, 0.9)),
    _facts(),
    'Scores are off the share of right detections by 0.20 on average, and '
    'mostly too low.',
    '',
  ),
  (
    _facts(classes=[_class(1, 'cat', 19), _class(2, 'dog', 3)]),
    _facts(classes=[_class(1, 'cat', 20), _class(2, 'dog', 0)]),
    "2 of 2 classes have fewer than 20 objects here, 'dog' 3.",
    'eval.eval_file_pattern',
  ),
  (
    _facts(classes=[_class(1, 'cat', 50), _class(2, 'dog', 20, 0.04)]),
    _facts(classes=[_class(1, 'cat', 50), _class(2, 'dog', 20, 0.06)]),
    "Hardly found at all: 1 of 2 classes, 'dog' with 20 objects.",
    'train.total_steps',
  ),
  (
    _facts(intervals={'AP': (0.4, 0.55)}),
    _facts(intervals={'AP': (0.46, 0.55)}),
    'With 1 images, AP is anywhere from 0.400 to 0.550.',
    'eval.eval_file_pattern',
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


def test_keys_exist():
  for *_, key in _CASES:
    if key and not key.startswith('<'):
      _PARAMS.lookup(key)
