"""Checks of what has to agree: ids, the annotation file, the other set."""

import collections
import re
from typing import Any, Dict, List, Optional

import numpy as np

from configs import factory
from evaluation import groundtruth_agreement
from evaluation.dataset import object_checks, pictures
from evaluation.dataset.check_list import (
  ERROR,
  EVALUATION,
  WARNING,
  Check,
  Finding,
  Part,
)

# As `tf_example_decoder.source_id_to_number` reads them.
_INTEGER = re.compile('-?[0-9]+')
_NUM_SHOWN = 5


def _are_made(part: Part) -> bool:
  settings = factory.parser_settings(part.data.params)
  return settings.get('regenerate_source_id', False)


def _image_ids(part: Part) -> List[Any]:
  """Ids of the images: numbers, or texts that are hashed; None of no id."""
  if _are_made(part):
    return part.contents.hashes.tolist()
  return [
    int(text) if _INTEGER.fullmatch(text) else text or None
    for text in part.contents.source_ids
  ]


def _repeated(part: Part) -> Optional[Finding]:
  ids = _image_ids(part)
  counts = collections.Counter(ids)
  found = part.of_images(
    np.array([counts[i] > 1 and i is not None for i in ids], bool),
    lambda index: f'{counts[ids[index]]} images have this id',
  )
  if not found or part.name == EVALUATION:
    return found
  return found._replace(
    severity=WARNING,
    remedy='Are they the same images? Each counts as often as it is there.',
  )


def _annotated_ids(part: Part) -> Optional[set]:
  # Ids that are made of the images are hashes of TensorFlow's.
  if part.data.annotations is None or _are_made(part):
    return None
  return {image['id'] for image in part.data.annotations['images']}


def _unannotated(part: Part, are_integers: bool) -> Optional[Finding]:
  known = _annotated_ids(part)
  if known is None:
    return None
  wrong = [
    isinstance(i, int) == are_integers and i not in known
    for i in _image_ids(part)
  ]
  return part.of_images(np.array(wrong, bool))


def _unrecorded(part: Part) -> Optional[Finding]:
  known = _annotated_ids(part)
  if known is None or part.data.params.eval.eval_samples:
    return None
  lacking = sorted(known - set(_image_ids(part)))
  return part.of_texts(
    [f'id {image_id}' for image_id in lacking],
    f'of {len(known):,} images of the annotation file',
    _NUM_SHOWN,
  )


def _misnumbered(part: Part) -> Optional[Finding]:
  data = part.data
  if data.annotations is None:
    return None
  ids = set(range(1, data.params.architecture.num_classes))
  known = ids.intersection(data.names or ids)
  entries = data.annotations['annotations']
  found = part.of_texts(
    [
      'category_id {category_id} of image {image_id}'.format(**entry)
      for entry in entries
      if entry['category_id'] not in known
    ],
    f'of {len(entries):,} annotations',
  )
  used = {entry['category_id'] for entry in entries}
  return found and found._replace(remedy=object_checks.shift(data, used))


def _differing(part: Part) -> Optional[Finding]:
  known = _annotated_ids(part)
  if known is None:
    return None
  records = _as_coco(part, known)
  found = groundtruth_agreement.differences(part.data.annotations, records)
  texts = {
    image_id: f'{what}: {text}'
    for what, examples in found.items()
    for image_id, text in examples.items()
  }
  ids = _image_ids(part)
  told = part.of_images(
    np.array([i in texts for i in ids], bool), lambda i: texts[ids[i]]
  )
  most = groundtruth_agreement.TOLERATED_SHARE * len(ids)
  if not told or told.count > most:
    return told
  return told._replace(
    severity=WARNING,
    remedy='Converters leave out an odd box. Are these meant?',
  )


def _as_coco(part: Part, known: set) -> Dict[str, Any]:
  """COCO's format of what records hold, of images of an annotation file."""
  contents, ids = part.contents, _image_ids(part)
  rows, sizes = contents.image_indices, contents.sizes
  low, high = np.split(contents.boxes * np.tile(sizes[rows], [1, 2]), 2, axis=1)
  boxes = np.hstack([low, high - low])[:, [1, 0, 3, 2]]
  columns = zip(
    *(each.tolist() for each in (rows, contents.classes, contents.is_crowd)),
    boxes.tolist(),
  )
  return {
    'images': [
      {'id': image_id, 'height': height, 'width': width}
      for image_id, (height, width) in zip(ids, sizes.tolist())
      # One whose size is unknown does not decode.
      if image_id in known and height
    ],
    'annotations': [
      {
        'image_id': ids[row],
        'category_id': class_id,
        'iscrowd': is_crowd,
        'bbox': box,
      }
      for row, class_id, is_crowd, box in columns
    ],
  }


def _shared(part: Part) -> Optional[Finding]:
  if not part.training:
    return None
  hashes = part.training.contents.hashes.tolist()
  known = {value: index for index, value in enumerate(hashes)}
  return _of_pairs(
    part,
    {
      i: known[value]
      for i, value in enumerate(part.contents.hashes.tolist())
      if value in known
    },
  )


def _alike(part: Part) -> Optional[Finding]:
  if not part.training or not part.pictures:
    return None
  is_same = np.isin(part.contents.hashes, part.training.contents.hashes)
  return _of_pairs(
    part,
    pictures.near_pairs(
      part.pictures.near_hashes * ~is_same, part.training.pictures.near_hashes
    ),
  )


def _of_pairs(part: Part, pairs: Dict[int, int]) -> Optional[Finding]:
  """What is found of images that have a twin in the training set."""
  found = part.of_images(
    np.isin(np.arange(part.contents.num_images), list(pairs)),
    lambda i: part.training.place(pairs[i]),
  )
  return found and found._replace(twins=[pairs[i] for i in found.images])


CHECKS = [
  Check(
    ERROR,
    'ids that several images have',
    'They are scored as one: give each record a source id of its own, or set '
    'regenerate_source_id of the parser.',
    _repeated,
  ),
  Check(
    ERROR,
    'ids that are no integers, of images of an annotation file',
    'Only integers meet the ids of a COCO file. Write them as decimal text, or '
    "evaluate without the file (eval.val_json_file: '').",
    lambda part: _unannotated(part, are_integers=False),
    EVALUATION,
  ),
  Check(
    ERROR,
    'ids of records that the annotation file lacks',
    "Give the annotations of these records, or '' to have them made "
    '(eval.val_json_file).',
    lambda part: _unannotated(part, are_integers=True),
    EVALUATION,
  ),
  Check(
    ERROR,
    'ids of the annotation file that the records lack',
    'Give the annotations of these records (eval.val_json_file): an image '
    'without detections counts as missed.',
    _unrecorded,
    EVALUATION,
    sampled=False,
  ),
  Check(
    ERROR,
    'classes of the annotation file that the model or the label map lacks',
    'Number its categories as the records do, from 1, below '
    'architecture.num_classes and with the names of the label map.',
    _misnumbered,
    EVALUATION,
  ),
  Check(
    ERROR,
    'images whose annotations differ from their records',
    'Metrics will be too low: give the annotations that the records were made '
    'from (eval.val_json_file).',
    _differing,
    EVALUATION,
  ),
  Check(
    WARNING,
    'pictures that the training set holds, too',
    'Metrics of these are too high: leave them out of one set.',
    _shared,
  ),
  Check(
    WARNING,
    'pictures that look nearly like one of the training set',
    'Are they the same scene? Then metrics are too high: keep such pictures in '
    'one set.',
    _alike,
  ),
]
