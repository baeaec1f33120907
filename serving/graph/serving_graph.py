"""The graph of a served model: from what is fed to its signature's outputs."""

from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

from configs import params_dict
from modeling import factory
from serving.graph import serving_inputs, signature
from utils import mode_keys

# Where preprocessing ends and the network begins.
_IMAGES, _IMAGE_INFO = 'NetworkImages', 'NetworkImageInfo'
# What architecture.output_flat_fpn_features adds.
_FLAT_FEATURES = 'RawFpnFeatures:0'


class ServingGraph(NamedTuple):
  """An inference graph whose variables hold no values yet.

  Attributes:
    graph: holds nothing else.
    inputs: placeholders by signature key.
    outputs: tensors by signature key.
    images: float32 [batch, height, width, 3], what the network gets.
    image_info: float32 [batch, 4, 2], how images were resized.
    further: tensors that clients fetch by name, outside of the signature.
  """

  graph: tf.Graph
  inputs: Dict[str, tf.Tensor]
  outputs: Dict[str, tf.Tensor]
  images: tf.Tensor
  image_info: tf.Tensor
  further: Sequence[tf.Tensor] = ()


def build(
  params: Any,
  input_type: str,
  batch_size: Optional[int],
  image_size: Tuple[int, int],
  input_name: str = 'input',
  output_image_info: bool = True,
  output_normalized_coordinates: bool = False,
  cast_num_detections_to_float: bool = False,
  cast_detection_classes_to_float: bool = False,
  use_bfloat16: bool = False,
) -> ServingGraph:
  """Builds a model in prediction mode in a graph of its own.

  Args:
    params: the whole config.
    input_type: see `serving_inputs.build`.
    batch_size: images at once; None for any number.
    image_size: (height, width) in pixels that images are fitted into.
    input_name: signature key of the input.
    output_image_info: whether `image_info` is an output.
    output_normalized_coordinates: boxes as shares of the original image's
      sides; otherwise in pixels of the resized image.
    cast_num_detections_to_float: int32 to float32.
    cast_detection_classes_to_float: int32 to float32.
    use_bfloat16: compute in bfloat16, whatever `params` says; for TPUs.

  Raises:
    ConfigError: an argument has a value that cannot work.
  """
  params = _inference_params(params, use_bfloat16)
  graph = tf.Graph()
  with graph.as_default():
    inputs = serving_inputs.build(
      input_type, batch_size, image_size, 2**params.architecture.max_level
    )
    images = tf.identity(inputs.images, _IMAGES)
    image_info = tf.identity(inputs.image_info, _IMAGE_INFO)
    model = factory.model_generator(params)
    outputs = model.build_outputs(
      images, {'image_info': image_info}, mode_keys.PREDICT
    )
    served = signature.named_outputs(
      outputs,
      image_info,
      output_image_info=output_image_info,
      output_normalized_coordinates=output_normalized_coordinates,
      cast_num_detections_to_float=cast_num_detections_to_float,
      cast_detection_classes_to_float=cast_detection_classes_to_float,
    )
    further = []
    if params.architecture.output_flat_fpn_features:
      further.append(graph.get_tensor_by_name(_FLAT_FEATURES))
  return ServingGraph(
    graph,
    {input_name: inputs.placeholder},
    served,
    images,
    image_info,
    further,
  )


def _inference_params(params: Any, use_bfloat16: bool) -> Any:
  params = params_dict.ParamsDict(params)
  changes = {
    'architecture': {'use_bfloat16': use_bfloat16},
    # With moving statistics synchronised batch norm computes the same, but
    # cannot be fused.
    'batch_norm_activation': {'use_sync_bn': False},
  }
  params.override(changes)
  return params
