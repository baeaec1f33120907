"""Formats that a model can be exported in.

A format is a function of an `ExportRequest` and a directory to write into,
which returns the artefacts that it wrote.
"""

from serving.export import saved_model
from serving.export.formats import frozen_graph, onnx_model, tflite
from utils import registry

FORMATS = registry.Registry('export_format')
for _format in (saved_model, frozen_graph, onnx_model, tflite):
  FORMATS.register(_format.FORMAT)(_format.write)
