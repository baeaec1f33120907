"""Predictor from an export of any format."""

import io
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image

from serving import contract as contract_lib
from serving.predictors import predictor, preprocessing, runtimes, suppression
from utils import errors, label_map

_LABEL_MAP = 'label_map.txt'


class _Fed(NamedTuple):
  """One image as a model is fed, and how its boxes become pixels.

  Attributes:
    value: element of the batch.
    scale: [2], (y, x): boxes of the model divided by it are pixels of the
      image.
    image_info: float32 [4, 2], how the image is resized.
  """

  value: Any
  scale: np.ndarray
  image_info: np.ndarray


class ExportedPredictor(predictor.Predictor):
  """An artefact of an export.

  Args:
    export_dir: of `export_saved_model.py`.
    contract: of that directory.
    artefact: one of the contract's.
    run: of `runtimes.load`, where the artefact is loaded already.
  """

  def __init__(
    self,
    export_dir: str,
    contract: contract_lib.Contract,
    artefact: contract_lib.Artefact,
    run: Optional[runtimes.Run] = None,
  ):
    placeholder = artefact.inputs[0]
    super().__init__(
      contract.image_size, placeholder.shape[0], _label_map(export_dir)
    )
    self._padded_size = contract.padded_size
    self._feed = _feed_of(contract, artefact)
    self._run = run or runtimes.load(export_dir, artefact)
    self._by_kind = artefact.by_kind
    self._suppress = None
    if not artefact.has_nms:
      self._suppress = suppression.Suppression(export_dir, contract, artefact)

  def _predict_batch(
    self, images: List[np.ndarray]
  ) -> List[predictor.ImageDetections]:
    fed = [self._feed(image) for image in images]
    outputs = self._by_kind(self._run(_stack([f.value for f in fed])))
    if self._suppress is not None:
      outputs = self._suppress(outputs)
    return [
      predictor.detections_of_image(
        {kind: values[row] for kind, values in outputs.items()},
        of_image.scale,
        of_image.image_info,
        self._padded_size,
      )
      for row, of_image in enumerate(fed)
    ]


def load(
  export_dir: str, format_name: Optional[str] = None, variant: str = ''
) -> predictor.Predictor:
  """Loads an export directory.

  Args:
    export_dir: of `export_saved_model.py`.
    format_name: which of its formats; None: the SavedModel if there is one,
      else the first that was written.
    variant: of the format, e.g. 'float16'.

  Raises:
    ConfigError: there is no such format, or a variant without a format.
    UserError: it is no export directory, does not hold the format, or is
      damaged.
  """
  contract = contract_lib.read(export_dir)
  artefact = choose(contract, format_name, variant)
  return ExportedPredictor(export_dir, contract, artefact)


def choose(
  contract: contract_lib.Contract,
  format_name: Optional[str],
  variant: str = '',
) -> contract_lib.Artefact:
  """Returns what `load` loads; arguments and errors as there."""
  if format_name is not None:
    runtimes.RUNTIMES.get(format_name)
    return contract.artefact(format_name, variant)
  if variant:
    raise errors.ConfigError(
      f'variant: {variant!r} does not say of which format; give the format, '
      f'too. The export holds {contract.listing()}.'
    )
  return min(contract.artefacts, key=lambda a: a.format != 'saved_model')


def _feed_of(
  contract: contract_lib.Contract, artefact: contract_lib.Artefact
) -> Callable[[np.ndarray], _Fed]:
  """Returns how an artefact is fed with one image."""
  input_type = artefact.input_type
  is_normalized = contract.coordinates == contract_lib.NORMALIZED
  size = contract.image_size
  padded_size = size if input_type == 'image_tensor' else contract.padded_size
  preprocessor = preprocessing.Preprocessor(
    size, padded_size, contract.image_fit
  )

  def feed_encoded(image):
    # The model resizes. Its shares of the original image are made pixels of it.
    info = preprocessor.image_info(image)
    scale = 1 / np.float32(image.shape[:2]) if is_normalized else info[2]
    value = _lossless(image)
    return _Fed(
      to_example(value) if input_type == 'tf_example' else value, scale, info
    )

  def feed_pixels(image):
    pixels, info = preprocessor.prepare(image)
    if input_type == 'image_tensor':
      pixels = preprocessing.to_pixels(pixels)
    # To the model, what it is fed is the original image.
    scale = info[2] / (padded_size if is_normalized else 1)
    return _Fed(pixels, scale, info)

  return feed_encoded if artefact.inputs[0].dtype == 'string' else feed_pixels


def to_example(encoded: bytes) -> bytes:
  """Returns a serialized tf.Example of an encoded image and nothing else."""
  example = tf.train.Example()
  example.features.feature['image/encoded'].bytes_list.value.append(encoded)
  return example.SerializeToString()


def _lossless(image: np.ndarray) -> bytes:
  buffer = io.BytesIO()
  # The cheapest to write and to read.
  Image.fromarray(image).save(buffer, 'BMP')
  return buffer.getvalue()


def _stack(values: List[Any]) -> np.ndarray:
  if isinstance(values[0], bytes):
    return np.array(values, dtype=object)
  return np.stack(values)


def _label_map(export_dir: str) -> Optional[Dict[int, str]]:
  path = os.path.join(export_dir, contract_lib.DIRECTORY, _LABEL_MAP)
  return label_map.read_label_map(path) if os.path.exists(path) else None
