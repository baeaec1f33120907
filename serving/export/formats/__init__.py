"""Formats that a model can be exported in."""

from typing import Callable, List, NamedTuple, Optional

from serving import contract
from serving.export import request
from serving.export.formats import frozen_graph, onnx_model, saved_model, tflite
from utils import registry


class Format(NamedTuple):
  """A format.

  Attributes:
    write: writes a request into a directory; returns what it wrote.
    check: raises ConfigError if it cannot carry out a request.
  """

  write: Callable[[request.ExportRequest, str], List[contract.Artefact]]
  check: Optional[Callable[[request.ExportRequest], None]] = None


FORMATS = registry.Registry('export_format')
FORMATS.register(saved_model.FORMAT)(Format(saved_model.write))
FORMATS.register(frozen_graph.FORMAT)(Format(frozen_graph.write))
FORMATS.register(onnx_model.FORMAT)(Format(onnx_model.write, onnx_model.check))
FORMATS.register(tflite.FORMAT)(Format(tflite.write, tflite.check))
