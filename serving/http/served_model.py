"""The model behind a server."""

import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import meta_graph_pb2

from serving import contract as contract_lib
from serving.predictors import encoded_inputs, exported, runtimes
from utils import errors

SIGNATURE_NAME = 'serving_default'
DEFAULT_NAME = 'detector'
# Their models cannot decode images.
_FORMATS_OF_PIXELS = ('onnx', 'tflite')

# Of one example, by signature key; arrays without the batch dimension.
Outputs = Dict[str, np.ndarray]


class Location(NamedTuple):
  """Where a model is and what clients call it.

  Attributes:
    directory: the export directory.
    name: of the model.
    version: positive.
  """

  directory: str
  name: str
  version: int


def locate(path: str, name: Optional[str] = None) -> Location:
  """Finds the model to serve, in the layouts that TensorFlow Serving reads.

  Args:
    path: an export directory; or a directory of versions, export directories
      that are called by numbers, of which the highest is served.
    name: of the model; by default that of the directory, without the version.

  Raises:
    UserError: there is no export.
  """
  path = os.path.abspath(path)
  if not _is_export(path):
    versions = [
      entry
      for entry in (os.listdir(path) if os.path.isdir(path) else [])
      if entry.isdigit() and _is_export(os.path.join(path, entry))
    ]
    if not versions:
      raise errors.UserError(
        f"'{path}' holds no model, neither itself nor in a directory of "
        'versions (1, 2, ...). Give a directory that export_saved_model.py '
        'wrote.'
      )
    path = os.path.join(path, max(versions, key=int))
  parent, last = os.path.split(path)
  version = 1
  if last.isdigit():
    version, last = int(last), os.path.basename(parent)
  # Names go into URLs.
  last = re.sub(r'[^\w.-]', '_', last, flags=re.ASCII)
  return Location(path, name or last or DEFAULT_NAME, version)


def _is_export(path: str) -> bool:
  return os.path.isfile(
    os.path.join(path, contract_lib.DIRECTORY, contract_lib.FILE_NAME)
  )


class ServedModel:
  """A loaded model; safe to call from several threads.

  Where it takes normalised pixels for want of a decoder, clients send encoded
  images all the same.

  Args:
    directory: the export directory.
    format_name: which of its formats; see `exported.load`.
    variant: of the format.

  Attributes:
    contract: of the export.
    artefact: what is run, as clients see it.
    input: that of the images; what may be fed besides keeps its default.
    signature: the SignatureDef as JSON, as TensorFlow Serving shows it.
    predictor: the same model, of images.

  Raises:
    ConfigError: there is no such format.
    UserError: it is no export, or it cannot be loaded.
  """

  def __init__(
    self,
    directory: str,
    format_name: Optional[str] = None,
    variant: str = '',
  ):
    self.contract = contract_lib.read(directory)
    self.artefact = exported.choose(self.contract, format_name, variant)
    self._run = runtimes.load(directory, self.artefact)
    # Weights are in memory once.
    self.predictor = exported.ExportedPredictor(
      directory, self.contract, self.artefact, self._run
    )
    if (
      self.artefact.format in _FORMATS_OF_PIXELS
      and self.artefact.input_type == 'raw_image_tensor'
    ):
      self.artefact, self._run = encoded_inputs.added(
        self.contract, self.artefact, self._run
      )
    self.input = self.artefact.inputs[0]
    self.signature = _signature(self.artefact)

  def warm_up(self) -> None:
    """Runs one image: a session optimises its graph at its first call."""
    image = np.zeros([*self.contract.image_size, 3], np.uint8)
    self.predictor.predict([image])

  def run(self, examples: Sequence[Any]) -> List[Outputs]:
    """Runs examples as one batch; a fixed batch is filled up.

    Args:
      examples: values of the input, at most as many as a fixed batch takes.

    Returns:
      The outputs of each, in order.

    Raises:
      tf.errors.InvalidArgumentError: one of them cannot be decoded.
    """
    missing = (self.contract.batch_size or len(examples)) - len(examples)
    is_bytes = self.input.dtype == 'string'
    outputs = self._run(
      np.array(
        [*examples, *[examples[-1]] * missing], object if is_bytes else None
      )
    )
    return [
      {key: values[i] for key, values in outputs.items()}
      for i in range(len(examples))
    ]


def _signature(artefact: contract_lib.Artefact) -> Dict[str, Any]:
  """The default signature as JSON."""
  inputs, outputs = (
    {
      spec.key: meta_graph_pb2.TensorInfo(
        name=spec.name,
        dtype=tf.as_dtype(spec.dtype).as_datatype_enum,
        tensor_shape=tf.TensorShape(spec.shape).as_proto(),
      )
      for spec in specs
    }
    for specs in (artefact.inputs, artefact.outputs)
  )
  return json_format.MessageToDict(
    meta_graph_pb2.SignatureDef(
      inputs=inputs,
      outputs=outputs,
      method_name=tf.saved_model.signature_constants.PREDICT_METHOD_NAME,
    ),
    including_default_value_fields=True,
    preserving_proto_field_name=True,
  )


def first_line(error: Exception) -> str:
  """Returns what TensorFlow says, without the nodes where it happened."""
  text = getattr(error, 'message', None) or str(error)
  return text.split('\n')[0]
