"""Formats that a model can be exported in.

A format is a function of an `ExportRequest` and a directory to write into,
which returns the artefacts that it wrote.
"""

from executor.exporting import saved_model
from utils import registry

FORMATS = registry.Registry('export_format')
FORMATS.register(saved_model.FORMAT)(saved_model.write)
