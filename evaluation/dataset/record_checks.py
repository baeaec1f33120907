"""Checks of records and their images, one by one."""

from typing import Optional

import numpy as np

from dataloader import (
  image_reader,
  record_check,
  record_contents,
  record_reader,
)
from evaluation.dataset.check_list import (
  ERROR,
  TRAINING,
  WARNING,
  Check,
  Finding,
  Part,
)
from evaluation.dataset.record_scan import NO_CLASS

_WRITE_AGAIN = (
  'Write the records again, with tools/create_tf_record.py for instance.'
)
# Of Pillow.
_ODD_MODES = ('1', 'L', 'LA', 'I', 'I;16', 'I;16B', 'CMYK')


def _of_problems(part: Part, is_feature: bool) -> Optional[Finding]:
  total = part.contents.num_images + len(part.contents.problems)
  problems = [
    str(each)
    for each in part.contents.problems
    if is_feature == (each.kind == record_reader.FEATURE)
  ]
  return part.of_texts(problems, f'of {total:,} records')


def _features(part: Part) -> Optional[Finding]:
  contents, learned = part.contents, part.data.learned
  has_label = contents.labels != NO_CLASS
  lacking, reason = ~has_label, f'no {learned.label}'
  if learned.images and not part.data.learns_objects:
    # What is within them is a check of its own.
    lacking = np.zeros(len(has_label), bool)
  if part.data.learns_objects:
    # Records of images without objects need no feature of objects.
    lacking = has_label & has_label.all() & (not len(contents.classes))
    other, model = record_contents.IMAGE_CLASS, part.data.params.type
    reason = (
      f"it holds {other.meaning} ({other.label}), but '{model}' learns from "
      f'{learned.meaning} ({learned.label})'
    )
  return _of_problems(part, is_feature=True) or part.of_images(
    lacking, lambda image: reason
  )


def _masks(part: Part) -> Optional[Finding]:
  learned = part.data.learned
  if not learned.images:
    return None
  checker = record_check.RecordChecker(
    part.data.params.architecture.num_classes,
    bool(part.pictures),
    contents=learned,
  )
  problems = [
    str(problem)
    for problem in checker.problems(part.contents.files)
    if any(feature in problem.reason for feature in learned.images)
  ]
  return part.of_texts(problems, f'of {checker.num_records:,} records')


def _images(part: Part) -> Optional[Finding]:
  formats = part.contents.formats
  reasons = part.pictures.reasons if part.pictures else {}
  wrong = [
    i in reasons or kind.split(' ')[0] not in image_reader.FORMATS_OF_TRAINING
    for i, kind in enumerate(formats)
  ]
  found = part.of_images(
    np.array(wrong, bool),
    lambda i: reasons.get(i) or formats[i] or 'it is no image of a known kind',
  )
  is_skipped = (
    part.data.params.train.skip_broken_images and part.name == TRAINING
  )
  return found._replace(severity=WARNING) if found and is_skipped else found


def _sizes(part: Part) -> Optional[Finding]:
  stated, sizes = part.contents.stated_sizes, part.contents.sizes
  wrong = (stated != 0) & (sizes > 0) & (stated != sizes)
  return part.of_images(
    wrong.any(axis=1),
    lambda i: '{} x {} pixels are stated, {} x {} stored'.format(
      *stated[i, ::-1], *sizes[i, ::-1]
    ),
  )


def _colours(part: Part) -> Optional[Finding]:
  formats = part.contents.formats
  is_odd = [kind.partition(' ')[2] in _ODD_MODES for kind in formats]
  return part.of_images(np.array(is_odd, bool), lambda i: formats[i])


def _shards(part: Part) -> Optional[Finding]:
  count, num_workers = len(part.contents.files), part.data.num_workers
  if count >= num_workers:
    return None
  return Finding(part, count, f'for {num_workers} workers')


CHECKS = [
  Check(
    ERROR,
    'records that cannot be read',
    _WRITE_AGAIN,
    lambda part: _of_problems(part, is_feature=False),
  ),
  Check(
    ERROR,
    'a feature missing, of the wrong type or with too few values',
    'docs/data.md lists the features and their types. ' + _WRITE_AGAIN,
    _features,
  ),
  Check(
    ERROR,
    'masks or label maps that cannot be used',
    _WRITE_AGAIN,
    _masks,
    sampled=False,
  ),
  Check(
    ERROR,
    'images that do not decode',
    'Only JPEG, PNG, BMP and GIF images that are not animated do; '
    'tools/create_tf_record.py re-encodes others. In training, '
    'train.skip_broken_images=true leaves them out.',
    _images,
  ),
  Check(
    ERROR,
    'images whose size is not the stated one (image/height, image/width)',
    'Boxes may be of another image, or of one that EXIF turns. ' + _WRITE_AGAIN,
    _sizes,
  ),
  Check(
    WARNING,
    'grey or CMYK pictures',
    'Grey is repeated in three channels, CMYK converted. That is well if the '
    'pictures to detect in are of the same kind; mixed sets learn the kind.',
    _colours,
  ),
  Check(
    WARNING,
    'fewer files than workers',
    'Some would read what others have to skip: write as many files as workers '
    '(--num_shards of tools/create_tf_record.py).',
    _shards,
    TRAINING,
  ),
]
