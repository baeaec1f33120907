"""Contents of records beside the image: objects, one class, or a class map."""

import functools
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from dataloader import groundtruth_checks, image_reader
from utils import errors

_LABEL = 'image/object/class/label'
_BOXES = tuple(
  'image/object/bbox/' + side for side in ('ymin', 'xmin', 'ymax', 'xmax')
)
_OPTIONAL_LISTS = ('image/object/area', 'image/object/is_crowd')
_MASKS = 'image/object/mask'
# Of Pillow: bits, grey levels. Of a palette decoding gives the colours.
_MASK_MODES = ('1', 'L')
_IMAGE_LABEL = 'image/class/label'
CLASS_MAP_FEATURE = 'image/segmentation/class/encoded'
# Offset of the byte of a PNG that tells the bits of a channel.
PNG_DEPTH = 24


class Contents(NamedTuple):
  """What a parser learns from.

  Attributes:
    meaning: in words.
    label: feature that records of the kind are known by.
    kinds: by feature, the field of `tf.train.Feature` that holds it.
    find_problem: of features and the number of classes; what is wrong, or None.
    images: features that hold encoded images, besides that of the record.
  """

  meaning: str
  label: str
  kinds: Dict[str, str]
  find_problem: Callable[[Any, int], Optional[str]]
  images: Sequence[str] = ()


def find_uneven_list(feature: Any) -> Optional[str]:
  """What has not as many values as there are class ids of objects, or None."""
  count = len(feature[_LABEL].int64_list.value)
  for key in _BOXES:
    num_values = len(feature[key].float_list.value)
    if num_values != count:
      return f'feature {key} holds {num_values} values for {count} labels.'
  for key in _OPTIONAL_LISTS:
    num_values = len(getattr(feature[key], OBJECTS.kinds[key]).value)
    if num_values not in (0, count):
      return f'feature {key} holds {num_values} values for {count} labels.'
  return None


def _find_problem_of_objects(feature: Any, num_classes: int) -> Optional[str]:
  uneven = find_uneven_list(feature)
  if uneven:
    return uneven
  classes = list(feature[_LABEL].int64_list.value)
  sides = [feature[key].float_list.value for key in _BOXES]
  for class_id in classes:
    if not 1 <= class_id < num_classes:
      return (
        f'class id {class_id} is outside of 1 to {num_classes - 1} '
        f'(architecture.num_classes is {num_classes} and counts the '
        'background, 0, too).'
      )
  return _find_problem_of_boxes(np.float32(sides).T)


def _find_problem_of_boxes(boxes: np.ndarray) -> Optional[str]:
  tolerance = groundtruth_checks.BOX_TOLERANCE
  is_inside = ((boxes >= -tolerance) & (boxes <= 1 + tolerance)).all(axis=1)
  is_upright = (boxes[:, 2:] >= boxes[:, :2]).all(axis=1)
  for box in boxes[~(is_inside & is_upright)]:
    text = 'ymin {:g}, xmin {:g}, ymax {:g}, xmax {:g}'.format(*box)
    if not np.all((box >= -tolerance) & (box <= 1 + tolerance)):
      return (
        f'a box is outside of [0, 1] ({text}). Coordinates are stored divided '
        'by the height and width of the image.'
      )
    if not np.all(box[2:] >= box[:2]):
      return (
        f'a box is inverted ({text}); ymax has to be at least ymin, and xmax '
        'at least xmin.'
      )
  return None


def _image_size(feature: Any) -> Optional[Tuple[int, int]]:
  """(width, height); None if it is no image."""
  (encoded,) = feature['image/encoded'].bytes_list.value
  try:
    return image_reader.open_header(encoded).size
  except errors.DataError:
    return None


def _find_problem_of_masks(feature: Any, num_classes: int) -> Optional[str]:
  problem = _find_problem_of_objects(feature, num_classes)
  if problem:
    return problem
  masks = feature[_MASKS].bytes_list.value
  num_objects = len(feature[_LABEL].int64_list.value)
  if len(masks) != num_objects:
    return (
      f'feature {_MASKS} holds {len(masks)} masks for {num_objects} objects. '
      'tools/create_tf_record.py writes them with --include_masks. Two-stage '
      'models train without by architecture.include_mask=false; eval.type=box '
      'evaluates without.'
    )
  size = _image_size(feature)
  if size is None:
    return None  # A problem of the image.
  for number, png in enumerate(masks):
    what = f'mask {number} of feature {_MASKS}'
    try:
      mask = image_reader.open_header(png)
    except errors.DataError as error:
      return f'{what} is no PNG ({error}).'
    if mask.format != 'PNG':
      return f'{what} is a {mask.format}, not a PNG.'
    if mask.mode.startswith('I'):
      # Decoding drops the lower 8, and with them small numbers.
      return f'{what} has 16 bits a pixel; use 8.'
    if mask.mode not in _MASK_MODES:
      return (
        '{} is a picture with {}. A mask has one channel, which is 0 outside '
        'of the object.'.format(
          what,
          'a palette' if mask.mode == 'P' else f'the channels {mask.mode}',
        )
      )
    if mask.size != size:
      return (
        '{} is {} x {} pixels, the image {} x {} (width x height). Masks have '
        'the size of their image.'.format(what, *mask.size, *size)
      )
  return None


def _find_problem_of_class(feature: Any, num_classes: int) -> Optional[str]:
  classes = feature[_IMAGE_LABEL].int64_list.value
  if len(classes) != 1:
    return (
      f'feature {_IMAGE_LABEL} holds {len(classes)} values; an image has '
      'exactly one class.'
    )
  if not 0 <= classes[0] < num_classes:
    return (
      f'class id {classes[0]} is outside of 0 to {num_classes - 1} '
      f'(architecture.num_classes is {num_classes}: the largest id plus one).'
    )
  return None


def _find_problem_of_class_map(
  feature: Any, num_classes: int, ignore_label: int
) -> Optional[str]:
  maps = feature[CLASS_MAP_FEATURE].bytes_list.value
  if len(maps) != 1:
    return (
      f'feature {CLASS_MAP_FEATURE} holds {len(maps)} values; an image has '
      'exactly one label map.'
    )
  size = _image_size(feature)
  if size is None:
    return None  # A problem of the image.
  what = f'the label map (feature {CLASS_MAP_FEATURE})'
  try:
    label_map = image_reader.open_header(maps[0])
    if (label_map.format, label_map.mode, maps[0][PNG_DEPTH]) != (
      'PNG',
      'L',
      8,
    ):
      return (
        f'{what} is a {label_map.format} of mode {label_map.mode}, not a grey '
        'PNG of 8 bits. tools/create_tf_record.py makes it of palettes, too.'
      )
    if label_map.size != size:
      return (
        '{} is {} x {} pixels, the image {} x {} (width x height). It has to '
        'have the size of its image.'.format(what, *label_map.size, *size)
      )
    with image_reader.explaining():
      labels = np.unique(label_map)
  except errors.DataError as error:
    return f'{what} does not decode ({error}).'
  largest = max(labels[labels != ignore_label], default=0)
  if largest >= num_classes:
    return (
      f'{what} has label {largest}, above {num_classes - 1} '
      f'(architecture.num_classes is {num_classes}). Labels that do not count '
      f'have to be {ignore_label} (ignore_label).'
    )
  return None


def class_map(ignore_label: int) -> Contents:
  """A class for each pixel, but those of `ignore_label`."""
  return Contents(
    'a class for each pixel',
    CLASS_MAP_FEATURE,
    {CLASS_MAP_FEATURE: 'bytes_list'},
    functools.partial(_find_problem_of_class_map, ignore_label=ignore_label),
    (CLASS_MAP_FEATURE,),
  )


OBJECTS = Contents(
  'objects in boxes',
  _LABEL,
  {
    _LABEL: 'int64_list',
    'image/object/area': 'float_list',
    'image/object/is_crowd': 'int64_list',
    **dict.fromkeys(_BOXES, 'float_list'),
  },
  _find_problem_of_objects,
)
OBJECTS_WITH_MASKS = Contents(
  'objects in boxes, with masks',
  _LABEL,
  {**OBJECTS.kinds, _MASKS: 'bytes_list'},
  _find_problem_of_masks,
  (_MASKS,),
)
IMAGE_CLASS = Contents(
  'a class for each image',
  _IMAGE_LABEL,
  {_IMAGE_LABEL: 'int64_list'},
  _find_problem_of_class,
)
ALL = (OBJECTS_WITH_MASKS, OBJECTS, IMAGE_CLASS, class_map(255))
