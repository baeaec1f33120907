"""Outputs of a served model: keys, tensor names, dtypes, coordinates."""

from typing import Dict

import tensorflow.compat.v1 as tf

# Names of the nodes by signature key; clients fetch them by either.
TENSOR_NAMES = {
  'num_detections': 'NumDetections',
  'detection_boxes': 'DetectionBoxes',
  'detection_classes': 'DetectionClasses',
  'detection_scores': 'DetectionScores',
  'raw_boxes': 'RawBoxes',
  'raw_encoded_boxes': 'RawEncodedBoxes',
  'raw_scores': 'RawScores',
  'image_info': 'ImageInfo',
}
# Keys whose boxes are decoded, with or without NMS.
_BOX_KEYS = ('detection_boxes', 'raw_boxes')


def named_outputs(
  outputs: Dict[str, tf.Tensor],
  image_info: tf.Tensor,
  output_image_info: bool,
  output_normalized_coordinates: bool,
  cast_num_detections_to_float: bool,
  cast_detection_classes_to_float: bool,
) -> Dict[str, tf.Tensor]:
  """Picks, converts and names what a served model puts out.

  Args:
    outputs: of the model, in prediction mode; boxes `[ymin, xmin, ymax, xmax]`
      in pixels of the model's image.
    image_info: float32 [batch, 4, 2], see `preprocess_ops.ResizePlan`.
    output_image_info: whether it is one of the outputs.
    output_normalized_coordinates: whether boxes become shares of the original
      image's sides.
    cast_num_detections_to_float: int32 to float32.
    cast_detection_classes_to_float: int32 to float32.

  Returns:
    Tensors by signature key, of nodes named as in `TENSOR_NAMES`.
  """
  served = {key: outputs[key] for key in TENSOR_NAMES if key in outputs}
  if output_image_info:
    served['image_info'] = image_info
  if output_normalized_coordinates:
    for key in _BOX_KEYS:
      if key in served:
        served[key] = _normalize(served[key], image_info)
  for key, is_cast in (
    ('num_detections', cast_num_detections_to_float),
    ('detection_classes', cast_detection_classes_to_float),
  ):
    if is_cast and key in served:
      served[key] = tf.cast(served[key], tf.float32)
  return {
    key: tf.identity(tensor, TENSOR_NAMES[key])
    for key, tensor in served.items()
  }


def _normalize(boxes: tf.Tensor, image_info: tf.Tensor) -> tf.Tensor:
  """Boxes [batch, n, 4] or [batch, n, 1, 4], pixels, to shares."""

  def sides(row):
    pair = tf.tile(image_info[:, row], [1, 2])
    shape = [-1] + [1] * (boxes.shape.ndims - 2) + [4]
    return tf.reshape(pair, shape)

  original_size, scale = sides(0), sides(2)
  return boxes / scale / original_size
