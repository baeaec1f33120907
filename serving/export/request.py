"""What is to be exported."""

import re
from typing import Any, Collection, NamedTuple, Optional, Sequence, Tuple

from serving.graph import serving_graph, serving_inputs
from utils import errors

# What is of use to one format alone.
_FORMAT_OF_FIELD = {
  'use_tpu': 'saved_model',
  'freeze': 'saved_model',
  'tflite_types': 'tflite',
  'onnx_opset': 'onnx',
}
_SIGNATURE_KEY = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_./-]*')


class ExportRequest(NamedTuple):
  """All that the writers of the formats need to know.

  Attributes:
    params: the whole config.
    checkpoint: prefix of the checkpoint's files.
    input_type: raw_image_tensor, image_tensor, image_bytes or tf_example.
    batch_size: images at once; None for any number.
    image_size: (height, width) in pixels that images are fitted into.
    input_name: signature key of the input.
    output_image_info: whether `image_info` is an output.
    output_normalized_coordinates: boxes as shares of the original image's
      sides; otherwise in pixels of the resized image.
    cast_num_detections_to_float: int32 to float32.
    cast_detection_classes_to_float: int32 to float32.
    use_tpu: the SavedModel gets a second meta graph, for TPUs.
    freeze: the SavedModel holds weights as constants.
    tflite_types: of float32, float16 and int8.
    representative_file_pattern: TFRecords that int8 is calibrated with.
    representative_images: how many of them.
    onnx_opset: version of ONNX's operators.
  """

  params: Any
  checkpoint: str
  input_type: str = 'raw_image_tensor'
  batch_size: Optional[int] = 1
  image_size: Tuple[int, int] = (640, 640)
  input_name: str = 'input'
  output_image_info: bool = True
  output_normalized_coordinates: bool = False
  cast_num_detections_to_float: bool = False
  cast_detection_classes_to_float: bool = False
  use_tpu: bool = False
  freeze: bool = False
  tflite_types: Sequence[str] = ('float32',)
  representative_file_pattern: str = ''
  representative_images: int = 100
  onnx_opset: int = 13

  def check(self, formats: Collection[str], is_compared: bool) -> None:
    """Looks at what can be looked at before anything is built.

    Args:
      formats: names of those that will be written.
      is_compared: whether images will be run through what is written.

    Raises:
      ConfigError: a value cannot work, or would have no effect.
    """
    serving_inputs.check(
      self.input_type,
      self.batch_size,
      self.image_size,
      2**self.params.architecture.max_level,
    )
    if not _SIGNATURE_KEY.fullmatch(self.input_name):
      raise errors.ConfigError(
        'input_name: {!r} has to be of letters, digits, and _ . / -.'.format(
          self.input_name
        )
      )
    for field, format_name in _FORMAT_OF_FIELD.items():
      if format_name not in formats:
        self._check_not_given(field, 'export_format: ' + format_name)
    if 'tflite' not in formats or 'int8' not in self.tflite_types:
      self._check_not_given('representative_images', 'tflite_types: int8')
      if not is_compared:
        self._check_not_given(
          'representative_file_pattern', 'tflite_types: int8'
        )

  def _check_not_given(self, field: str, needed: str) -> None:
    value, default = getattr(self, field), self._field_defaults[field]
    if isinstance(default, tuple):
      value, default = ','.join(value), ','.join(default)
    if value != default:
      raise errors.ConfigError(
        '{}: {} has no effect without {}. Leave it out.'.format(
          field, value, needed
        )
      )

  def build_graph(
    self, use_bfloat16: bool = False
  ) -> serving_graph.ServingGraph:
    """Returns the serving graph that is asked for.

    Args:
      use_bfloat16: compute in bfloat16, for TPUs.
    """
    return serving_graph.build(
      params=self.params,
      input_type=self.input_type,
      batch_size=self.batch_size,
      image_size=self.image_size,
      input_name=self.input_name,
      output_image_info=self.output_image_info,
      output_normalized_coordinates=self.output_normalized_coordinates,
      cast_num_detections_to_float=self.cast_num_detections_to_float,
      cast_detection_classes_to_float=self.cast_detection_classes_to_float,
      use_bfloat16=use_bfloat16,
    )
