"""Options of an export."""

from typing import NamedTuple, Optional, Sequence, Tuple


class ExportOptions(NamedTuple):
  """What is to be exported, named as the flags of export_saved_model.py.

  Attributes:
    input_type: raw_image_tensor, image_tensor, image_bytes or tf_example; see
      `serving_inputs.build`.
    batch_size: images at once; None for any number.
    image_size: (height, width) in pixels that images are fitted into; None:
      that of the config's parser, as in evaluation.
    input_name: signature key of the images; None: `input`, or what clients of
      the model know.
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
    onnx_types: of float32 and int8.
  """

  input_type: str = 'raw_image_tensor'
  batch_size: Optional[int] = 1
  image_size: Optional[Tuple[int, int]] = None
  input_name: Optional[str] = None
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
  onnx_types: Sequence[str] = ('float32',)
