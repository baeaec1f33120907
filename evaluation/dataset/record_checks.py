"""Checks of records and their images, one by one."""

import functools
from typing import Any, List, Optional, Sequence

import numpy as np

import evaluation
from configs import factory
from dataloader import (
  image_reader,
  parser_generator,
  record_check,
  record_contents,
  record_reader,
)
from evaluation import evaluator_registry
from evaluation.dataset import check_list, record_scan
from evaluation.dataset.check_list import (
  ERROR,
  WARNING,
  Check,
  Data,
  Found,
  Part,
  of_images,
)
from utils import discovery, mode_keys

discovery.import_submodules(evaluation.__path__, evaluation.__name__)

_WRITE_AGAIN = (
  'Write the records again, with tools/create_tf_record.py for instance.'
)
_GREY_MODES = ('1', 'L', 'LA', 'I', 'I;16', 'I;16B')

CHECKS: List[Check] = []
_check = functools.partial(check_list.check, CHECKS)


def _of_problems(part: Part, kinds: Sequence[str]) -> Optional[Found]:
  problems = [each for each in part.contents.problems if each.kind in kinds]
  if not problems:
    return None
  total = part.contents.num_images + len(part.contents.problems)
  return Found(len(problems), f'of {total:,} records', str(problems[0]))


@_check(ERROR, 'records that cannot be read', _WRITE_AGAIN)
def _unreadable(data: Data, part: Part) -> Optional[Found]:
  del data  # Unused.
  return _of_problems(part, (record_reader.FILE, record_reader.EXAMPLE))


@_check(
  ERROR,
  'a feature missing, of the wrong type or with too few values',
  'docs/data.md lists the features and their types. ' + _WRITE_AGAIN,
)
def _features(data: Data, part: Part) -> Optional[Found]:
  found = _of_problems(part, (record_reader.FEATURE,))
  contents = part.contents
  has_label = contents.labels != record_scan.NO_CLASS
  if not data.learns_objects:
    lacking = of_images(
      part, ~has_label, lambda image: f'no {data.learned.label}'
    )
  else:
    # Records of images without objects need no feature of objects.
    of_classes = has_label.all() and not len(contents.classes)
    lacking = of_images(
      part,
      has_label & of_classes,
      lambda image: (
        f'it holds {record_contents.IMAGE_CLASS.meaning} '
        f"({record_contents.IMAGE_CLASS.label}), but '{data.params.type}' "
        f'learns from {data.learned.meaning} ({data.learned.label})'
      ),
    )
  return found or lacking


@_check(ERROR, 'masks that cannot be used', _WRITE_AGAIN, sampled=False)
def _masks(data: Data, part: Part) -> Optional[Found]:
  if not data.learned.images:
    return None
  num_classes = data.params.architecture.num_classes
  checker = record_check.RecordChecker(
    num_classes, bool(part.pictures), contents=data.learned
  )
  problems = [
    str(problem)
    for problem in checker.problems(part.contents.files)
    if 'mask' in problem.reason
  ]
  if not problems:
    return None
  return Found(
    len(problems), f'of {checker.num_records:,} records', problems[0]
  )


@_check(
  ERROR,
  'images that do not decode',
  'Only JPEG, PNG, BMP and GIF images that are not animated do; '
  'tools/create_tf_record.py re-encodes others. In training, '
  'train.skip_broken_images: true leaves them out.',
)
def _images(data: Data, part: Part) -> Optional[Found]:
  formats = part.contents.formats
  known = {
    kind: kind.split(' ')[0] in image_reader.FORMATS_OF_TRAINING
    for kind in set(formats)
  }
  wrong = ~np.array([known[kind] for kind in formats], bool)
  reasons = part.pictures.reasons if part.pictures else {}
  wrong[list(reasons)] = True
  found = of_images(
    part,
    wrong,
    lambda i: reasons.get(i) or formats[i] or 'it is no image of a known kind',
  )
  is_skipped = (
    data.params.train.skip_broken_images and part.name == check_list.TRAINING
  )
  return found._replace(severity=WARNING) if found and is_skipped else found


@_check(
  ERROR,
  'images whose size is not the stated one (image/height, image/width)',
  'Boxes may be of another image, or of one that EXIF turns. ' + _WRITE_AGAIN,
)
def _sizes(data: Data, part: Part) -> Optional[Found]:
  del data  # Unused.
  contents = part.contents
  stated, sizes = contents.stated_sizes, contents.sizes
  wrong = (stated != 0) & (sizes > 0) & (stated != sizes)
  return of_images(
    part,
    wrong.any(axis=1),
    lambda i: '{} x {} pixels are stated, {} x {} stored'.format(
      *stated[i, ::-1], *sizes[i, ::-1]
    ),
  )


@_check(
  WARNING,
  'grey or CMYK pictures',
  'Grey is repeated in three channels, CMYK converted. That is well if the '
  'pictures to detect in are of the same kind; mixed sets learn the kind.',
)
def _colours(data: Data, part: Part) -> Optional[Found]:
  del data  # Unused.
  formats = part.contents.formats
  modes = [kind.partition(' ')[2] for kind in formats]
  wrong = np.array(
    [mode == 'CMYK' or mode in _GREY_MODES for mode in modes], bool
  )
  if part.pictures:
    wrong |= part.pictures.is_grey
  return of_images(
    part,
    wrong,
    lambda i: (
      formats[i]
      + (
        ', without any colour'
        if modes[i] not in _GREY_MODES + ('CMYK',)
        else ''
      )
    ),
  )


@_check(
  WARNING,
  'fewer files than workers',
  'Some would read what others have to skip: write as many files as workers '
  '(--num_shards of tools/create_tf_record.py).',
)
def _shards(data: Data, part: Part) -> Optional[Found]:
  num_files = len(part.contents.files)
  if part.name == check_list.EVALUATION or num_files >= data.num_workers:
    return None
  return Found(num_files, f'for {data.num_workers} workers')


@_check(
  WARNING,
  'images with more objects than labels hold',
  'The rest of them is left out.',
)
def _excess(data: Data, part: Part) -> Optional[Found]:
  limit = max_objects(data.params, part.name)
  if limit is None:
    return None
  contents = part.contents
  counts = contents.counts
  settings = factory.parser_settings(data.params)
  is_training = part.name == check_list.TRAINING
  if is_training and settings.skip_crowd_during_training:
    counts = counts - np.bincount(
      contents.image_indices[contents.is_crowd], minlength=contents.num_images
    )
  cut = np.maximum(counts - limit, 0)
  key = f'{data.params.architecture.parser}.max_num_instances'
  found = of_images(part, cut > 0, lambda i: f'{counts[i]} objects')
  return found and found._replace(
    images=np.argsort(-cut, kind='stable')[: found.count].tolist(),
    remedy=(
      f'{key}: {limit} cuts {cut.sum():,} objects; {counts.max()} would hold '
      'all.'
    ),
    details={'objects_cut': int(cut.sum()), 'most_objects': int(counts.max())},
  )


def max_objects(params: Any, name: str) -> Optional[int]:
  """Objects of an image that labels hold, if some of them may be lost."""
  is_training = name == check_list.TRAINING
  if not is_training:
    if params.eval.type == evaluator_registry.LOSSES_ALONE:
      return None
    evaluator = evaluator_registry.EVALUATORS.get(params.eval.type)
    if not evaluator.streams_groundtruth(params):
      return None
  mode = mode_keys.TRAIN if is_training else mode_keys.PREDICT_WITH_GT
  return parser_generator.parser_generator(params, mode).max_objects
