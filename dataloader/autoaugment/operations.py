"""Table of operations, and what a level means for each."""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf

from dataloader.autoaugment import (
  box_transforms,
  color_ops,
  cutout_ops,
  geometric_ops,
  local_ops,
  randomness,
)
from dataloader.autoaugment.geometric_ops import FILL

MAX_LEVEL = 10.0


class Argument(NamedTuple):
  """The number that an operation takes.

  Attributes:
    from_level: function of a level from 0 to `MAX_LEVEL`.
    dtype: the dtype that the operation computes with.
    has_random_sign: whether it is negated for every second image.
  """

  from_level: Callable[[float], float]
  dtype: tf.DType = tf.float32
  has_random_sign: bool = False


class Operation(NamedTuple):
  """One operation.

  Attributes:
    image_op: `f(image)` or `f(image, number)`, some with a third argument, the
      colour of emptied pixels; returns the image.
    argument: the number; None if it takes none.
    box_op: where boxes go, `f(boxes, image_shape, number)`; None: they stay.
    looks_at_boxes: whether `image_op` takes the boxes as second argument.
    is_local: whether it is applied to the content of boxes, some of them,
      instead of the image.
  """

  image_op: Callable[..., tf.Tensor]
  argument: Optional[Argument] = None
  box_op: Optional[Callable[..., tf.Tensor]] = None
  looks_at_boxes: bool = False
  is_local: bool = False


def _whole(largest: float) -> Argument:
  """Whole numbers from 0."""
  return Argument(lambda level: int(level / MAX_LEVEL * largest), tf.int32)


def _signed(largest: float) -> Argument:
  return Argument(
    lambda level: level / MAX_LEVEL * largest, has_random_sign=True
  )


def _local(
  image_op: Callable[..., tf.Tensor], argument: Optional[Argument] = None
) -> Operation:
  return Operation(image_op, argument, is_local=True)


_FACTOR = Argument(lambda level: level / MAX_LEVEL * 1.8 + 0.1)
_FRACTION = Argument(lambda level: level / MAX_LEVEL * 0.75, tf.float64)
_SHEAR, _DEGREES = _signed(0.3), _signed(30.0)
_PIXELS, _PIXELS_IN_BOX = _signed(250.0), _signed(120.0)

OPERATIONS: Dict[str, Operation] = {
  'AutoContrast': Operation(color_ops.auto_contrast),
  'Equalize': Operation(color_ops.equalize),
  'Posterize': Operation(color_ops.posterize, _whole(4)),
  'Solarize': Operation(color_ops.solarize, _whole(256)),
  'SolarizeAdd': Operation(color_ops.solarize_add, _whole(110)),
  'Color': Operation(color_ops.color, _FACTOR),
  'Contrast': Operation(color_ops.contrast, _FACTOR),
  'Brightness': Operation(color_ops.brightness, _FACTOR),
  'Sharpness': Operation(color_ops.sharpness, _FACTOR),
  'Cutout': Operation(cutout_ops.cutout, _whole(100)),
  'BBox_Cutout': Operation(
    cutout_ops.bbox_cutout, _FRACTION, looks_at_boxes=True
  ),
  'Rotate_BBox': Operation(
    geometric_ops.rotate, _DEGREES, box_transforms.rotate
  ),
  'TranslateX_BBox': Operation(
    geometric_ops.translate_x, _PIXELS, box_transforms.translate_x
  ),
  'TranslateY_BBox': Operation(
    geometric_ops.translate_y, _PIXELS, box_transforms.translate_y
  ),
  'ShearX_BBox': Operation(
    geometric_ops.shear_x, _SHEAR, box_transforms.shear_x
  ),
  'ShearY_BBox': Operation(
    geometric_ops.shear_y, _SHEAR, box_transforms.shear_y
  ),
  'Rotate_Only_BBoxes': _local(geometric_ops.rotate, _DEGREES),
  'ShearX_Only_BBoxes': _local(geometric_ops.shear_x, _SHEAR),
  'ShearY_Only_BBoxes': _local(geometric_ops.shear_y, _SHEAR),
  'TranslateX_Only_BBoxes': _local(geometric_ops.translate_x, _PIXELS_IN_BOX),
  'TranslateY_Only_BBoxes': _local(geometric_ops.translate_y, _PIXELS_IN_BOX),
  'Flip_Only_BBoxes': _local(geometric_ops.flip),
  'Solarize_Only_BBoxes': _local(color_ops.solarize, _whole(256)),
  'Equalize_Only_BBoxes': _local(color_ops.equalize),
  'Cutout_Only_BBoxes': _local(cutout_ops.cutout, _whole(50)),
}

# They leave pixels without content, and take the colour of those.
_FILLING = {
  geometric_ops.rotate,
  geometric_ops.shear_x,
  geometric_ops.shear_y,
  geometric_ops.translate_x,
  geometric_ops.translate_y,
  cutout_ops.cutout,
}


def public_function(name: str) -> Callable[..., Any]:
  """The operation as `f(image[, bboxes][, prob][, number][, replace])`.

  It takes and returns `bboxes` if it moves, reads or is confined to boxes, and
  `prob` if it is confined to them.
  """
  operation = OPERATIONS[name]
  image_op = operation.image_op
  if operation.box_op is not None:

    def move(image, bboxes, amount, replace=FILL):
      boxes = operation.box_op(bboxes, tf.shape(image), amount)
      return image_op(image, amount, replace), boxes

    return move
  if operation.looks_at_boxes:

    def look(image, bboxes, *arguments):
      return image_op(image, bboxes, *arguments), bboxes

    return look
  if not operation.is_local:
    return image_op
  if image_op in _FILLING:

    def move_in_boxes(image, bboxes, prob, amount, replace=FILL):
      changed = local_ops.apply_in_boxes(
        image, bboxes, prob, lambda region: image_op(region, amount, replace)
      )
      return changed, bboxes

    return move_in_boxes

  def change_in_boxes(image, bboxes, prob, *arguments):
    changed = local_ops.apply_in_boxes(
      image, bboxes, prob, lambda region: image_op(region, *arguments)
    )
    return changed, bboxes

  return change_in_boxes


def apply(
  name: str, image: tf.Tensor, boxes: tf.Tensor, argument: tf.Tensor
) -> Tuple[tf.Tensor, tf.Tensor]:
  """Applies an operation to an image and its boxes.

  Args:
    name: of one that is not local.
    image: uint8 [height, width, 3].
    boxes: float32 [n, 4], normalised.
    argument: float64 scalar, without the random sign; not read if the operation
      takes none.

  Returns:
    image and boxes, of the same shapes.
  """
  operation = OPERATIONS[name]
  numbers = _numbers(operation, _with_sign(operation, argument))
  if operation.looks_at_boxes:
    return operation.image_op(image, boxes, *numbers), boxes
  if operation.box_op is not None:
    boxes_moved = operation.box_op(boxes, tf.shape(image), *numbers)
    return operation.image_op(image, *numbers), boxes_moved
  return operation.image_op(image, *numbers), boxes


def apply_local(
  names: List[str],
  index: tf.Tensor,
  image: tf.Tensor,
  boxes: tf.Tensor,
  probability: tf.Tensor,
  argument: tf.Tensor,
) -> tf.Tensor:
  """Applies one of several local operations to the content of some boxes.

  Args:
    names: of local operations.
    index: int32 scalar, the one to apply.
    image: uint8 [height, width, 3].
    boxes: float32 [n, 4], normalised.
    probability: float32 scalar, see `local_ops.apply_in_boxes`.
    argument: float64 scalar, without the random sign.

  Returns:
    The image.
  """
  # One sign for all boxes.
  argument_signed = argument * tf.cast(randomness.sign(), tf.float64)

  def apply_to_region(region: tf.Tensor) -> tf.Tensor:
    def branch(operation):
      is_signed = operation.argument and operation.argument.has_random_sign
      number = argument_signed if is_signed else argument
      return lambda: operation.image_op(region, *_numbers(operation, number))

    branches = [branch(OPERATIONS[name]) for name in names]
    return branches[0]() if len(names) == 1 else tf.switch_case(index, branches)

  return local_ops.apply_in_boxes(image, boxes, probability, apply_to_region)


def _with_sign(operation: Operation, argument: tf.Tensor) -> tf.Tensor:
  if operation.argument is None or not operation.argument.has_random_sign:
    return argument
  return argument * tf.cast(randomness.sign(), tf.float64)


def _numbers(operation: Operation, argument: tf.Tensor) -> List[tf.Tensor]:
  if operation.argument is None:
    return []
  return [tf.cast(argument, operation.argument.dtype)]
