"""Graph of a served model, from placeholder to outputs."""

from typing import Any, Dict, List, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from configs import params_dict
from modeling import base_model, factory, served_output, weight_averages
from modeling import checkpoint as checkpoint_lib
from modeling.architecture import shared_tensors
from ops import preprocess_ops
from serving import contract, export_options
from serving.graph import serving_inputs, signature, tpu_graph
from utils import mode_keys

# What architecture.output_flat_fpn_features adds; clients fetch it by name.
FLAT_FEATURES = 'RawFpnFeatures'


class ServingGraph(NamedTuple):
  """An inference graph whose variables hold no values yet.

  Attributes:
    graph: holds nothing else.
    inputs: placeholders by signature key, that of the images first.
    outputs: tensors by signature key.
    kinds: of the outputs, see `served_output`.
    images: float32 [batch, height, width, 3], what the network gets.
    image_info: float32 [batch, 4, 2], how images were resized.
    image_fit: how they are made to fit, a key of `preprocess_ops.FITS`.
    use_averages: whether moving averages of weights, where a checkpoint has
      them, stand in for these.
  """

  graph: tf.Graph
  inputs: Dict[str, tf.Tensor]
  outputs: Dict[str, tf.Tensor]
  kinds: Dict[str, str]
  images: tf.Tensor
  image_info: tf.Tensor
  image_fit: str
  use_averages: bool

  def input_specs(self) -> List[contract.TensorSpec]:
    return [_spec(key, tensor) for key, tensor in self.inputs.items()]

  def output_specs(self) -> List[contract.TensorSpec]:
    return [
      _spec(key, tensor, self.kinds[key])
      for key, tensor in sorted(self.outputs.items())
    ]

  def restored_session(self, checkpoint: str) -> tf.Session:
    """Returns a session in which the variables have a checkpoint's values.

    Raises:
      UserError: the checkpoint does not hold all variables in their shapes.
    """
    with self.graph.as_default():
      variables = tf.global_variables()
      checkpoint_lib.check_restorable(checkpoint, variables)
      saver = tf.train.Saver(
        weight_averages.restored_names(checkpoint, variables, self.use_averages)
      )
    session = tf.Session(
      graph=self.graph, config=tf.ConfigProto(allow_soft_placement=True)
    )
    saver.restore(session, checkpoint)
    return session


def build(
  params: Any,
  options: export_options.ExportOptions,
  use_bfloat16: bool = False,
  on_tpu: bool = False,
) -> ServingGraph:
  """Builds a model in prediction mode in a graph of its own.

  Args:
    params: the whole config.
    options: of the export, with an image size.
    use_bfloat16: compute in bfloat16, whatever `params` says; for TPUs.
    on_tpu: decoding and preprocessing stay on the host, network and NMS are
      compiled for one TPU core; the batch size has to be static.
  """
  changes = {
    'architecture.use_bfloat16': use_bfloat16,
    # With moving statistics synchronised batch norm computes the same, but
    # cannot be fused.
    'batch_norm_activation.use_sync_bn': False,
  }
  graph = tf.Graph()
  with graph.as_default():
    tf.get_variable_scope().set_use_resource(True)
    tf.get_variable_scope().set_custom_getter(shared_tensors.initial_values)
    model = factory.model_generator(params_dict.with_overrides(params, changes))
    inputs = serving_inputs.build(
      options.input_type,
      options.batch_size,
      options.image_size,
      preprocess_ops.padded_size(options.image_size, model.stride),
      model.image_fit,
    )
    images = tf.identity(inputs.images, 'NetworkImages')
    image_info = tf.identity(inputs.image_info, 'NetworkImageInfo')

    def network(images, image_info):
      outputs = model.build_outputs(
        images, {'image_info': image_info}, mode_keys.PREDICT
      )
      return signature.named_outputs(
        outputs, image_info, model.served_outputs, options
      )

    if on_tpu:
      network = tpu_graph.on_tpu(network, further=[FLAT_FEATURES])
    served = network(images, image_info)
    known = {**served_output.OF_EVERY_MODEL, **model.served_outputs}
    fed = {options.input_name or 'input': inputs.placeholder}
    if inputs.placeholder.dtype == tf.string and model.encoded_outputs:
      known.update(model.encoded_outputs)
      further = _further_inputs(model, options.batch_size)
      fed = {options.input_name or model.encoded_input: inputs.placeholder}
      fed.update(further)
      outputs = model.encode(
        served,
        image_info,
        images.shape.as_list()[1:3],
        # One for each image, or one for all.
        {
          key: tf.broadcast_to(values, tf.shape(images)[:1])
          for key, values in further.items()
        },
      )
      served = signature.named_outputs(
        outputs, image_info, model.encoded_outputs, options
      )
    if options.output_image_info:
      served['image_info'] = tf.identity(image_info, known['image_info'].node)
  return ServingGraph(
    graph=graph,
    inputs=fed,
    outputs=served,
    kinds={key: known[key].kind for key in served},
    images=images,
    image_info=image_info,
    image_fit=model.image_fit,
    use_averages=params.eval.use_ema,
  )


def _further_inputs(
  model: base_model.Model, batch_size: Optional[int]
) -> Dict[str, tf.Tensor]:
  return {
    key: tf.placeholder_with_default(
      tf.constant(given.default), [1 if batch_size == 1 else None], given.node
    )
    for key, given in model.further_inputs.items()
  }


def _spec(key: str, tensor: tf.Tensor, kind: str = '') -> contract.TensorSpec:
  return contract.TensorSpec(
    key=key,
    name=tensor.name,
    dtype=tensor.dtype.name,
    shape=tuple(tensor.shape.as_list()),
    kind=kind,
  )
