"""Contract of an export: its files, inputs and outputs.

`contract.json` stands beside the artefacts of an export and is all that a
program needs to feed them and to read their outputs.
"""

import json
import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from modeling import served_output
from ops import preprocess_ops
from utils import errors, files

FILE_NAME = 'contract.json'
# Where a SavedModel keeps files that TensorFlow does not read.
DIRECTORY = 'assets.extra'

PIXELS = 'pixels of the resized image'
NORMALIZED = 'shares of the original image'


class TensorSpec(NamedTuple):
  """One input or output.

  Attributes:
    key: its name in the signature; formats without signatures use the name of
      the tensor.
    name: name of the tensor in the artefact.
    dtype: NumPy's name of the dtype; 'string' for bytes.
    shape: None where a dimension is dynamic.
    kind: what an output is, see `modeling.served_output`; '' of an input.
  """

  key: str
  name: str
  dtype: str
  shape: Tuple[Optional[int], ...]
  kind: str = ''


class Artefact(NamedTuple):
  """One written file or directory.

  Attributes:
    format: saved_model, frozen_graph, tflite or onnx.
    path: relative to the export directory; '.' for the SavedModel.
    input_type: image_bytes, image_tensor, raw_image_tensor or tf_example.
    inputs: what is fed, the images first; the others have defaults.
    outputs: what comes out.
    variant: what sets it apart from others of its format, e.g. 'float16'.
    num_bytes: size of the file; None of a directory.
  """

  format: str
  path: str
  input_type: str
  inputs: List[TensorSpec]
  outputs: List[TensorSpec]
  variant: str = ''
  num_bytes: Optional[int] = None

  @property
  def name(self) -> str:
    """Format and variant, for messages."""
    return ' '.join(filter(None, (self.format, self.variant)))

  def by_kind(self, outputs: Dict[str, Any]) -> Dict[str, Any]:
    """Takes outputs by key and returns them by kind."""
    return {spec.kind: outputs[spec.key] for spec in self.outputs}

  @property
  def has_nms(self) -> bool:
    """Whether no duplicates are left to suppress."""
    return served_output.RAW_SCORES not in {s.kind for s in self.outputs}


class Contract(NamedTuple):
  """What stands in `contract.json`.

  Attributes:
    model: value of `type` in the config.
    image_size: (height, width) of the image before padding, pixels.
    padded_size: (height, width) of the network's input, pixels.
    batch_size: None if any.
    coordinates: PIXELS or NORMALIZED, the frame of boxes `[ymin, xmin, ymax,
      xmax]`.
    mean_rgb: subtracted from each channel scaled to [0, 1] ...
    stddev_rgb: ... and then divided by.
    num_classes: including background, class 0.
    checkpoint: name of the checkpoint's files, without directories.
    step: its global step; None if it does not say.
    versions: of this project, TensorFlow and NumPy.
    artefacts: what was written.
    image_fit: how images are made to fit into `image_size`, a key of
      `preprocess_ops.FITS`.
  """

  model: str
  image_size: Tuple[int, int]
  padded_size: Tuple[int, int]
  batch_size: Optional[int]
  coordinates: str
  mean_rgb: List[float]
  stddev_rgb: List[float]
  num_classes: int
  checkpoint: str
  step: Optional[int]
  versions: Dict[str, str]
  artefacts: List[Artefact]
  image_fit: str = preprocess_ops.WHOLE

  def artefact(self, format_name: str, variant: str = '') -> Artefact:
    """Returns the artefact of a format.

    Raises:
      UserError: the export has none.
    """
    for artefact in self.artefacts:
      if (artefact.format, artefact.variant) == (format_name, variant):
        return artefact
    raise errors.UserError(
      'The export holds no {}; it holds {}.'.format(
        ' '.join(filter(None, (format_name, variant))), self.listing()
      )
    )

  def listing(self) -> str:
    """Names all artefacts, for messages."""
    return ', '.join(artefact.name for artefact in self.artefacts)

  def write(self, export_dir: str) -> None:
    """Writes `assets.extra/contract.json` into a directory."""
    fields = dict(self._asdict(), artefacts=[])
    for artefact in self.artefacts:
      fields['artefacts'].append(
        dict(
          artefact._asdict(),
          inputs=[spec._asdict() for spec in artefact.inputs],
          outputs=[spec._asdict() for spec in artefact.outputs],
          has_nms=artefact.has_nms,
        )
      )
    path = os.path.join(export_dir, DIRECTORY, FILE_NAME)
    files.write_json(path, fields, indent=2)


def read(export_dir: str) -> Contract:
  """Reads the contract of an export directory.

  Raises:
    UserError: there is none, it cannot be read, or nothing was exported.
  """
  path = os.path.join(export_dir, DIRECTORY, FILE_NAME)
  try:
    with open(path, encoding='utf-8') as source:
      contract = _from_json(json.load(source))
  except (OSError, ValueError, TypeError, KeyError) as error:
    raise errors.UserError(
      f"'{path}' cannot be read as the contract of an exported model: "
      f'{error!r}. Export again, where an earlier version wrote it; else give '
      'a directory that export_saved_model.py wrote.'
    ) from error
  if not contract.artefacts:
    raise errors.UserError(
      f"'{path}' lists no model: the export holds none. Export again."
    )
  return contract


def _from_json(fields: Dict[str, Any]) -> Contract:
  artefacts = []
  for artefact in fields['artefacts']:
    for key in ('inputs', 'outputs'):
      artefact[key] = [
        TensorSpec(**dict(spec, shape=tuple(spec['shape']), kind=spec['kind']))
        for spec in artefact[key]
      ]
    # It follows from the outputs.
    artefact.pop('has_nms')
    artefacts.append(Artefact(**artefact))
  sizes = {key: tuple(fields[key]) for key in ('image_size', 'padded_size')}
  return Contract(**dict(fields, artefacts=artefacts, **sizes))
