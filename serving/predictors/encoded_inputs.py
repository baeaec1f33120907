"""Encoded images for models that take pixels."""

from typing import Dict, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from modeling import served_output
from serving import contract as contract_lib
from serving.graph import serving_inputs
from serving.predictors import runtimes

_INPUT_TYPE = 'image_bytes'


def added(
  contract: contract_lib.Contract,
  artefact: contract_lib.Artefact,
  run: runtimes.Run,
) -> Tuple[contract_lib.Artefact, runtimes.Run]:
  """Puts what a SavedModel of image_bytes does with images before a model.

  Args:
    contract: of the export.
    artefact: of it, with the input type raw_image_tensor.
    run: of the artefact.

  Returns:
    The artefact as it looks to a client, and what runs it: encoded images in,
    outputs as a SavedModel has them.
  """
  with tf.Graph().as_default() as graph:
    inputs = serving_inputs.build(
      _INPUT_TYPE,
      contract.batch_size,
      contract.image_size,
      contract.padded_size,
      contract.image_fit,
    )
  session = tf.Session(
    graph=graph, config=tf.ConfigProto(device_count={'GPU': 0})
  )
  decode = session.make_callable(
    [inputs.images, inputs.image_info], [inputs.placeholder]
  )
  is_normalized = contract.coordinates == contract_lib.NORMALIZED

  def run_encoded(encoded: np.ndarray) -> Dict[str, np.ndarray]:
    images, info = decode(encoded)
    outputs = run(images)
    for spec in artefact.outputs:
      if spec.kind == served_output.IMAGE_INFO:
        outputs[spec.key] = info
      elif spec.kind in served_output.DECODED_BOXES and is_normalized:
        # To the model, what it is fed is the original image.
        sides = np.float32(contract.padded_size) / (info[:, 0] * info[:, 2])
        boxes = outputs[spec.key]
        sides = np.tile(sides, 2).reshape(-1, *[1] * (boxes.ndim - 2), 4)
        outputs[spec.key] = boxes * sides
    return outputs

  (spec,) = artefact.inputs
  seen = spec._replace(dtype='string', shape=spec.shape[:1])
  return artefact._replace(input_type=_INPUT_TYPE, inputs=[seen]), run_encoded
