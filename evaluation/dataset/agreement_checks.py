"""Checks of what has to agree: ids, the annotation file, the other set."""

import collections
import functools
import re
from typing import Any, Dict, List, Optional

import numpy as np

from configs import factory
from evaluation import groundtruth_agreement
from evaluation.dataset import check_list, pictures
from evaluation.dataset.check_list import (
  ERROR,
  WARNING,
  Check,
  Data,
  Found,
  Part,
  of_images,
)

# As `tf_example_decoder.source_id_to_number` reads them.
_INTEGER = re.compile('-?[0-9]+')
_NUM_SHOWN = 5

CHECKS: List[Check] = []
_check = functools.partial(check_list.check, CHECKS)


def _uses_annotations(data: Data, part: Part) -> bool:
  return data.annotations is not None and part.name == check_list.EVALUATION


def _are_made(data: Data) -> bool:
  settings = factory.parser_settings(data.params).as_dict()
  return settings.get('regenerate_source_id', False)


def _image_ids(data: Data, part: Part) -> List[Any]:
  """Ids of the images: numbers, or texts that are hashed; None of no id."""
  if _are_made(data):
    return part.contents.hashes.tolist()
  return [
    int(text) if _INTEGER.fullmatch(text) else text or None
    for text in part.contents.source_ids
  ]


def _found(ids: List[Any], total: int, of: str) -> Optional[Found]:
  shown = ', '.join(str(each) for each in ids[:_NUM_SHOWN])
  if not ids:
    return None
  return Found(
    len(ids),
    f'of {total:,} {of}',
    f'id {shown}' + (', ...' if ids[_NUM_SHOWN:] else ''),
  )


@_check(
  ERROR,
  'an annotation file or label map that cannot be used',
  'Mend it, or give another one (eval.val_json_file, eval.label_map_file).',
)
def _unreadable(data: Data, part: Part) -> Optional[Found]:
  if not data.unreadable or part is not data.parts[-1]:
    return None
  return Found(len(data.unreadable), 'files', data.unreadable[0])


def _of_repeated(data: Data, part: Part) -> Optional[Found]:
  ids = _image_ids(data, part)
  counts = collections.Counter(ids)
  return of_images(
    part,
    np.array([counts[i] > 1 and i is not None for i in ids], bool),
    lambda index: f'{counts[ids[index]]} images have this id',
  )


@_check(
  ERROR,
  'ids that several images have',
  'They are scored as one: give each record a source id of its own, or set '
  'regenerate_source_id of the parser.',
)
def _repeated(data: Data, part: Part) -> Optional[Found]:
  if part.name == check_list.TRAINING:
    return None
  return _of_repeated(data, part)


@_check(
  WARNING,
  'ids that several training images have',
  'Are they the same images? Each counts as often as it is there.',
)
def _repeated_in_training(data: Data, part: Part) -> Optional[Found]:
  if part.name == check_list.EVALUATION:
    return None
  return _of_repeated(data, part)


@_check(
  ERROR,
  'ids that are no integers, of images of an annotation file',
  'Only integers meet the ids of a COCO file. Write them as decimal text, or '
  "evaluate without the file (eval.val_json_file: '').",
)
def _not_integers(data: Data, part: Part) -> Optional[Found]:
  if not _uses_annotations(data, part):
    return None
  is_text = [not isinstance(i, int) for i in _image_ids(data, part)]
  return of_images(part, np.array(is_text, bool))


@_check(
  ERROR,
  'ids of records that the annotation file lacks',
  "Give the annotations of these records, or '' to have them made "
  '(eval.val_json_file).',
)
def _unannotated(data: Data, part: Part) -> Optional[Found]:
  known = _annotated_ids(data, part)
  if known is None:
    return None
  return of_images(
    part, np.array([i not in known for i in _image_ids(data, part)], bool)
  )


@_check(
  ERROR,
  'ids of the annotation file that the records lack',
  'Give the annotations of these records (eval.val_json_file): an image '
  'without detections counts as missed.',
  sampled=False,
)
def _unrecorded(data: Data, part: Part) -> Optional[Found]:
  known = _annotated_ids(data, part)
  if known is None or data.params.eval.eval_samples:
    return None
  lacking = sorted(known - set(_image_ids(data, part)))
  return _found(lacking, len(known), 'images of the annotation file')


def _annotated_ids(data: Data, part: Part) -> Optional[set]:
  # Ids that are made of the images are hashes of TensorFlow's.
  if _are_made(data) or not _uses_annotations(data, part):
    return None
  return {image['id'] for image in data.annotations['images']}


@_check(
  WARNING,
  'images whose annotations are not those of their records',
  'Metrics will be too low: give the annotations that the records were made '
  'from.',
)
def _differing(data: Data, part: Part) -> Optional[Found]:
  known = _annotated_ids(data, part)
  if known is None:
    return None
  ids = _image_ids(data, part)
  differences = groundtruth_agreement.differences(
    data.annotations, _as_annotations(part, ids, known)
  )
  concerned = sorted({i for found in differences.values() for i in found})
  if not concerned:
    return None
  indices = {image_id: index for index, image_id in enumerate(ids)}
  first = next(
    text for found in differences.values() for text in found.values()
  )
  return Found(
    len(concerned),
    f'of {part.contents.num_images:,} images',
    '{} differ: {}'.format(' and '.join(differences), first),
    [indices[image_id] for image_id in concerned],
  )


def _as_annotations(part: Part, ids: List[Any], known: set) -> Dict[str, Any]:
  """The records in COCO's format, of images that the annotation file has."""
  contents = part.contents
  sizes = contents.sizes.tolist()
  images = [
    {'id': i, 'height': height, 'width': width}
    for i, (height, width) in zip(ids, sizes)
    if i in known
  ]
  scale = np.tile(contents.sizes[contents.image_indices], [1, 2])
  boxes = contents.boxes * scale
  boxes[:, 2:] -= boxes[:, :2]
  columns = zip(
    contents.image_indices.tolist(),
    contents.classes.tolist(),
    boxes[:, [1, 0, 3, 2]].tolist(),
    contents.is_crowd.tolist(),
  )
  annotations = [
    {
      'image_id': ids[image],
      'category_id': class_id,
      'bbox': box,
      'iscrowd': int(is_crowd),
    }
    for image, class_id, box, is_crowd in columns
  ]
  return {'images': images, 'annotations': annotations}


@_check(
  WARNING,
  'pictures that the training set holds, too',
  'Metrics of these are too high: leave them out of one set.',
)
def _shared(data: Data, part: Part) -> Optional[Found]:
  other = data.other(part)
  if other is None or part.name == check_list.TRAINING:
    return None
  known = dict(
    zip(other.contents.hashes.tolist(), range(other.contents.num_images))
  )
  hashes = part.contents.hashes.tolist()
  return _of_pairs(
    part, other, {i: known[h] for i, h in enumerate(hashes) if h in known}
  )


def _of_pairs(
  part: Part, other: Part, pairs: Dict[int, int]
) -> Optional[Found]:
  """A finding of images that have a twin in the other set."""
  wrong = np.zeros(part.contents.num_images, bool)
  wrong[list(pairs)] = True
  found = of_images(part, wrong, lambda i: other.place(pairs[i]))
  return found and found._replace(twins=[pairs[i] for i in found.images])


@_check(
  WARNING,
  'pictures that look nearly like one of the training set',
  'Are they the same scene? Then metrics are too high: keep such pictures in '
  'one set.',
)
def _alike(data: Data, part: Part) -> Optional[Found]:
  other = data.other(part)
  if other is None or part.name == check_list.TRAINING or not part.pictures:
    return None
  is_same = np.isin(part.contents.hashes, other.contents.hashes)
  pairs = dict(
    pictures.near_pairs(
      part.pictures.near_hashes * ~is_same, other.pictures.near_hashes
    )
  )
  return _of_pairs(part, other, pairs)
