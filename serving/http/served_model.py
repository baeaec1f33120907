"""The SavedModel behind a server."""

import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np
from google.protobuf import json_format, message
from tensorflow.core.protobuf import saved_model_pb2

from serving import contract as contract_lib
from serving.predictors import exported, runtimes
from utils import errors

SIGNATURE_NAME = 'serving_default'
DEFAULT_NAME = 'detector'
FORMAT = 'saved_model'
_GRAPH_FILE = 'saved_model.pb'

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
    UserError: there is no SavedModel.
  """
  path = os.path.abspath(path)
  if not os.path.isfile(os.path.join(path, _GRAPH_FILE)):
    versions = [
      entry
      for entry in (os.listdir(path) if os.path.isdir(path) else [])
      if entry.isdigit()
      and os.path.isfile(os.path.join(path, entry, _GRAPH_FILE))
    ]
    if not versions:
      raise errors.UserError(
        f"'{path}' holds no SavedModel, neither '{_GRAPH_FILE}' itself nor in "
        'a directory of versions (1, 2, ...). Give a directory that '
        'export_saved_model.py wrote with saved_model among its formats.'
      )
    path = os.path.join(path, max(versions, key=int))
  parent, last = os.path.split(path)
  version = 1
  if last.isdigit():
    version, last = int(last), os.path.basename(parent)
  # Names go into URLs.
  last = re.sub(r'[^\w.-]', '_', last, flags=re.ASCII)
  return Location(path, name or last or DEFAULT_NAME, version)


class ServedModel:
  """A loaded SavedModel; safe to call from several threads.

  Args:
    directory: the export directory.

  Attributes:
    contract: of the export.
    artefact: what the contract says of the SavedModel.
    input: what the contract says of its only input.
    signature: the SignatureDef as JSON, as TensorFlow Serving shows it.
    predictor: the same model, of images.

  Raises:
    UserError: it is no export, or it cannot be loaded.
  """

  def __init__(self, directory: str):
    self.contract = contract_lib.read(directory)
    self.artefact = self.contract.artefact(FORMAT)
    (self.input,) = self.artefact.inputs
    self.signature = _signature(directory)
    self._run = runtimes.load(directory, self.artefact)
    # Weights are in memory once.
    self.predictor = exported.ExportedPredictor(
      directory, self.contract, self.artefact, self._run
    )

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


def _signature(directory: str) -> Dict[str, Any]:
  """The default signature as JSON."""
  saved_model = saved_model_pb2.SavedModel()
  with open(os.path.join(directory, _GRAPH_FILE), 'rb') as source:
    try:
      saved_model.ParseFromString(source.read())
    except message.DecodeError as error:
      raise errors.UserError(
        f"'{source.name}' is no SavedModel, or damaged."
      ) from error
  # The one for a TPU, if there is any, has the same inputs and outputs.
  return json_format.MessageToDict(
    saved_model.meta_graphs[0].signature_def[SIGNATURE_NAME],
    including_default_value_fields=True,
    preserving_proto_field_name=True,
  )


def first_line(error: Exception) -> str:
  """Returns what TensorFlow says, without the nodes where it happened."""
  text = getattr(error, 'message', None) or str(error)
  return text.split('\n')[0]
