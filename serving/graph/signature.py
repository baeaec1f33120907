"""Outputs of a served model: keys, tensor names, dtypes, coordinates."""

from typing import Dict

import tensorflow.compat.v1 as tf

from modeling import served_output
from serving import export_options


def named_outputs(
  outputs: Dict[str, tf.Tensor],
  image_info: tf.Tensor,
  served_outputs: Dict[str, served_output.ServedOutput],
  options: export_options.ExportOptions,
) -> Dict[str, tf.Tensor]:
  """Picks, converts and names what a served model puts out.

  Args:
    outputs: of the model, in prediction mode; boxes `[ymin, xmin, ymax, xmax]`
      in pixels of the model's image.
    image_info: float32 [batch, 4, 2], see `preprocess_ops.ResizePlan`.
    served_outputs: those of them that are served.
    options: of the export.

  Returns:
    Tensors by signature key, of the nodes that `served_outputs` names.
  """
  is_cast = {
    served_output.COUNT: options.cast_num_detections_to_float,
    served_output.CLASSES: options.cast_detection_classes_to_float,
  }
  named = {}
  for key, (node, kind) in served_outputs.items():
    if key not in outputs:
      continue
    tensor = outputs[key]
    if (
      options.output_normalized_coordinates
      and kind in served_output.DECODED_BOXES
    ):
      tensor = _normalize(tensor, image_info)
    if is_cast.get(kind):
      tensor = tf.cast(tensor, tf.float32)
    named[key] = tf.identity(tensor, node)
  return named


def _normalize(boxes: tf.Tensor, image_info: tf.Tensor) -> tf.Tensor:
  """Boxes [batch, n, 4] or [batch, n, 1, 4], pixels, to shares."""

  def sides(row):
    pair = tf.tile(image_info[:, row], [1, 2])
    shape = [-1] + [1] * (boxes.shape.ndims - 2) + [4]
    return tf.reshape(pair, shape)

  original_size, scale = sides(0), sides(2)
  return boxes / scale / original_size
