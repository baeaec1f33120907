"""Request for an export."""

import os
import re
from typing import Any, Collection, NamedTuple, Set

from modeling import base_model, factory
from serving import contract, export_options
from serving.graph import frozen, serving_graph, serving_inputs
from utils import errors

# What is of use to one format alone.
_FORMAT_OF_OPTION = {
  'use_tpu': 'saved_model',
  'freeze': 'saved_model',
  'tflite_types': 'tflite',
  'onnx_types': 'onnx',
  'onnx_opset': 'onnx',
}
_SIGNATURE_KEY = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_./-]*')


class ExportRequest(NamedTuple):
  """All that the writers of the formats need to know.

  Attributes:
    params: the whole config.
    checkpoint: prefix of the checkpoint's files.
    options: with an image size.
  """

  params: Any
  checkpoint: str
  options: export_options.ExportOptions

  @property
  def model(self) -> base_model.Model:
    return factory.model_generator(self.params)

  @property
  def kinds(self) -> Set[str]:
    """Kinds of the outputs that the model may have."""
    return {output.kind for output in self.model.served_outputs.values()}

  def check(self, formats: Collection[str], is_compared: bool) -> None:
    """Looks at what concerns more than one format.

    Args:
      formats: names of those that will be written.
      is_compared: whether images will be run through what is written.

    Raises:
      ConfigError: a value cannot work, or would have no effect.
    """
    options = self.options
    serving_inputs.check(
      options.input_type,
      options.batch_size,
      options.image_size,
      self.model.stride,
    )
    if options.use_tpu and options.batch_size is None:
      raise errors.ConfigError(
        'batch_size: -1 (any number) is not possible with use_tpu: true, since '
        'TPUs compile for one size. Give the number of images.'
      )
    if options.use_tpu and options.freeze:
      raise errors.ConfigError(
        'freeze: true is not possible with use_tpu: true, whose two graphs '
        'share their variables. Leave one of them out.'
      )
    name = options.input_name
    if name is not None and not _SIGNATURE_KEY.fullmatch(name):
      raise errors.ConfigError(
        f'input_name: {name!r} has to be of letters, digits, and _ . / -.'
      )
    for name, format_name in _FORMAT_OF_OPTION.items():
      if format_name not in formats:
        self._check_not_given(name, 'export_format: ' + format_name)
    types = {*options.tflite_types, *options.onnx_types}
    if 'int8' not in types:
      needed = 'onnx_types or tflite_types: int8'
      self._check_not_given('representative_images', needed)
      if not is_compared:
        self._check_not_given('representative_file_pattern', needed)

  def _check_not_given(self, name: str, needed: str) -> None:
    value = getattr(self.options, name)
    default = self.options._field_defaults[name]
    if isinstance(default, tuple):
      value, default = ','.join(value), ','.join(default)
    if value != default:
      raise errors.ConfigError(
        f'{name}: {value} has no effect without {needed}. Leave it out.'
      )

  def frozen(self) -> frozen.FrozenModel:
    """Returns the model with its weights.

    Raises:
      UserError: the checkpoint does not fit the model.
    """
    graph = serving_graph.build(self.params, self.options)
    return frozen.freeze(graph, self.checkpoint)


def write_file(
  directory: str, file_name: str, content: bytes, **fields: Any
) -> contract.Artefact:
  """Writes one file; `fields` are further ones of its artefact."""
  with open(os.path.join(directory, file_name), 'wb') as target:
    target.write(content)
  return contract.Artefact(path=file_name, num_bytes=len(content), **fields)
