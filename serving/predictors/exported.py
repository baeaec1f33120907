"""Runs what was exported, of any format."""

import io
import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image

from serving import contract as contract_lib
from serving.predictors import (
  batch_predictor,
  predictor,
  preprocessing,
  runtimes,
  suppression,
)
from utils import errors, label_map, registry

_LABEL_MAP = 'label_map.txt'

FEEDS = registry.Registry('input_type')
# Of any size: the model resizes them.
_ENCODED = ('image_bytes', 'tf_example')


class _Fed(NamedTuple):
  """One image as a model is fed, and how its boxes become pixels.

  Attributes:
    value: element of the batch.
    scale: [2], (y, x): boxes of the model divided by it are pixels of the
      image.
  """

  value: Any
  scale: np.ndarray


class ExportedPredictor(batch_predictor.BatchPredictor):
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
    (placeholder,) = artefact.inputs
    super().__init__(
      contract.image_size, placeholder.shape[0], _label_map(export_dir)
    )
    self._artefact = artefact
    self._is_normalized = contract.coordinates == contract_lib.NORMALIZED
    self._prepare = FEEDS.get(artefact.input_type)(contract)
    self._run = run or runtimes.load(export_dir, artefact)
    self._finish = _identity
    if not artefact.has_nms:
      self._finish = suppression.Suppression(export_dir, contract, artefact)

  def _predict_batch(
    self, images: List[np.ndarray]
  ) -> List[predictor.ImageDetections]:
    fed = [self._prepare(image) for image in images]
    outputs = self._finish(self._run(_stack([f.value for f in fed])))
    return [
      batch_predictor.detections_of_image(
        outputs['num_detections'][row],
        self._in_pixels(image, outputs['detection_boxes'][row]),
        outputs['detection_classes'][row],
        outputs['detection_scores'][row],
        scale=of_image.scale,
      )
      for row, (image, of_image) in enumerate(zip(images, fed))
    ]

  def _in_pixels(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Boxes as of a model that puts out pixels."""
    if not self._is_normalized:
      return boxes
    is_encoded = self._artefact.input_type in _ENCODED
    size = image.shape[:2] if is_encoded else _fed_size(self._artefact)
    return boxes * np.tile(np.float32(size), 2)


def _fed_size(artefact: contract_lib.Artefact) -> Tuple[int, int]:
  """(height, width) of what a model without decoding is fed, pixels."""
  (placeholder,) = artefact.inputs
  return placeholder.shape[1:3]


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
  if format_name is not None:
    runtimes.RUNTIMES.get(format_name)
    artefact = contract.artefact(format_name, variant)
  elif variant:
    raise errors.ConfigError(
      'variant: {!r} does not say of which format; give the format, too. The '
      'export holds {}.'.format(variant, contract.listing())
    )
  else:
    artefact = min(contract.artefacts, key=lambda a: a.format != 'saved_model')
  return ExportedPredictor(export_dir, contract, artefact)


@FEEDS.register('raw_image_tensor')
def _raw_image_tensor(contract: contract_lib.Contract):
  preprocessor = preprocessing.Preprocessor(
    contract.image_size, contract.padded_size
  )

  def feed(image):
    prepared = preprocessor.prepare(image)
    return _Fed(prepared.pixels, prepared.image_info[2])

  return feed


@FEEDS.register('image_tensor')
def _image_tensor(contract: contract_lib.Contract):
  preprocessor = preprocessing.Preprocessor(
    contract.image_size, contract.image_size
  )

  def feed(image):
    prepared = preprocessor.prepare(image)
    return _Fed(
      preprocessing.to_pixels(prepared.pixels), prepared.image_info[2]
    )

  return feed


@FEEDS.register('image_bytes')
def _image_bytes(contract: contract_lib.Contract):
  preprocessor = preprocessing.Preprocessor(
    contract.image_size, contract.padded_size
  )
  is_normalized = contract.coordinates == contract_lib.NORMALIZED

  def feed(image):
    # Shares of the original image need no scale.
    scale = (
      np.ones([2], np.float32)
      if is_normalized
      else preprocessor.image_info(image)[2]
    )
    return _Fed(_lossless(image), scale)

  return feed


@FEEDS.register('tf_example')
def _tf_example(contract: contract_lib.Contract):
  feed_bytes = _image_bytes(contract)

  def feed(image):
    encoded, scale = feed_bytes(image)
    example = tf.train.Example()
    feature = example.features.feature['image/encoded']
    feature.bytes_list.value.append(encoded)
    return _Fed(example.SerializeToString(), scale)

  return feed


def _lossless(image: np.ndarray) -> bytes:
  buffer = io.BytesIO()
  # The cheapest to write and to read.
  Image.fromarray(image).save(buffer, 'BMP')
  return buffer.getvalue()


def _stack(values: List[Any]) -> np.ndarray:
  if isinstance(values[0], bytes):
    return np.array(values, dtype=object)
  return np.stack(values)


def _identity(outputs: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
  return outputs


def _label_map(export_dir: str) -> Optional[Dict[int, str]]:
  path = os.path.join(export_dir, contract_lib.DIRECTORY, _LABEL_MAP)
  return label_map.read_label_map(path) if os.path.exists(path) else None
