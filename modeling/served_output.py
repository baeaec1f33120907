"""Outputs of a served model, and their kinds."""

from typing import Any, NamedTuple

# Kinds of outputs. What an export, a predictor, a drawing or a page does with
# an output follows from its kind alone.
COUNT = 'count'  # int32 [batch], detections of an image
BOXES = 'boxes'  # [batch, n, 4], `[ymin, xmin, ymax, xmax]`, pixels
CLASSES = 'classes'  # int32 [batch, n]
SCORES = 'scores'  # [batch, n]
MASKS = 'masks'  # [batch, n, height, width], within its box
# [batch, n, 4], what masks cover instead of the boxes; always pixels of the
# model's image
MASK_BOXES = 'mask_boxes'
PROBABILITIES = 'probabilities'  # [batch, classes], of the whole image
LOGITS = 'logits'  # [batch, h, w, classes], of the cells of the padded image
# Of models that are fed encoded images: PNGs [batch] of the original image's
# size, of classes and of their scores, 255 being 1.
CLASS_MAPS = 'class_maps'
CLASS_MAP_SCORES = 'class_map_scores'
KEY = 'key'  # string [batch], as it was fed
# Without suppression: [batch, n, 1, 4], [batch, n, 4] relative to anchors, and
# [batch, n, classes].
RAW_BOXES = 'raw_boxes'
RAW_ENCODED_BOXES = 'raw_encoded_boxes'
RAW_SCORES = 'raw_scores'
DECODED_BOXES = (BOXES, RAW_BOXES)
IMAGE_INFO = 'image_info'  # [batch, 4, 2], how the image was resized

# Of the classes of a whole image, the most probable ones that are told.
NUM_TOP_CLASSES = 5


class ServedOutput(NamedTuple):
  """One output of a model in prediction mode.

  Attributes:
    node: name of its node in a served graph; clients fetch it by that name.
    kind: one of the kinds above.
  """

  node: str
  kind: str


class FurtherInput(NamedTuple):
  """What may be fed beside encoded images.

  Attributes:
    node: name of its placeholder.
    default: [1], value of what is not fed, for all images.
  """

  node: str
  default: Any


# Every served graph may put it out.
OF_EVERY_MODEL = {'image_info': ServedOutput('ImageInfo', IMAGE_INFO)}

# Of a detector that suppresses duplicates.
DETECTIONS = {
  'num_detections': ServedOutput('NumDetections', COUNT),
  'detection_boxes': ServedOutput('DetectionBoxes', BOXES),
  'detection_classes': ServedOutput('DetectionClasses', CLASSES),
  'detection_scores': ServedOutput('DetectionScores', SCORES),
}
