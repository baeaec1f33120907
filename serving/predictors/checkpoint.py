"""Runs a checkpoint as it was trained."""

from typing import Any, List, Optional, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from configs import params_dict
from modeling import checkpoint as checkpoint_lib
from modeling import factory
from ops import preprocess_ops
from serving.predictors import batch_predictor, predictor, preprocessing
from utils import errors, label_map, mode_keys


class CheckpointPredictor(batch_predictor.BatchPredictor):
  """The graph of an evaluation, fed with images.

  Args:
    checkpoint: prefix of the checkpoint's files, or a directory with some.
    params: the whole config, not changed. It always computes in float32 on
      this machine's devices, and always suppresses duplicates.
    image_size: (height, width) into which images are fitted; None: that of the
      parser. It is padded to multiples of the coarsest level's stride.

  Raises:
    UserError: there is no such checkpoint, or it is of another architecture.
  """

  def __init__(
    self,
    checkpoint: str,
    params: Any,
    image_size: Optional[Sequence[int]] = None,
  ):
    params = on_this_machine(params)
    image_size = image_size or parser_of(params).output_size
    super().__init__(image_size, label_map=_label_map(params))
    self._preprocessor = preprocessing.Preprocessor(
      self.image_size, padded_size(params, self.image_size)
    )
    checkpoint = checkpoint_lib.resolve_checkpoint(checkpoint)
    with tf.Graph().as_default() as graph:
      height, width = padded_size(params, self.image_size)
      self._images = tf.placeholder(tf.float32, [None, height, width, 3])
      self._image_info = tf.placeholder(tf.float32, [None, 4, 2])
      outputs = factory.model_generator(params).build_outputs(
        self._images, {'image_info': self._image_info}, mode_keys.PREDICT
      )
      self._outputs = [outputs[key] for key in batch_predictor.OUTPUTS]
      variables = tf.global_variables()
      checkpoint_lib.check_restorable(checkpoint, variables)
      saver = tf.train.Saver(variables)
    self._session = tf.Session(
      graph=graph, config=tf.ConfigProto(allow_soft_placement=True)
    )
    saver.restore(self._session, checkpoint)

  def _predict_batch(
    self, images: List[np.ndarray]
  ) -> List[predictor.ImageDetections]:
    prepared = [self._preprocessor.prepare(image) for image in images]
    infos = np.stack([image.image_info for image in prepared])
    outputs = self._session.run(
      self._outputs,
      {
        self._images: np.stack([image.pixels for image in prepared]),
        self._image_info: infos,
      },
    )
    return [
      batch_predictor.detections_of_image(*row, scale=info[2])
      for *row, info in zip(*outputs, infos)
    ]


def on_this_machine(params: Any) -> params_dict.ParamsDict:
  """A copy of a config for prediction in float32, duplicates suppressed."""
  params = params_dict.ParamsDict(params.as_dict())
  params.override(
    {
      'use_tpu': False,
      'architecture': {'use_bfloat16': False},
      'postprocess': {'apply_nms': True},
    }
  )
  return params


def parser_of(params: Any) -> Any:
  """Returns the block of the model's parser."""
  return getattr(params, params.architecture.parser)


def padded_size(params: Any, image_size: Sequence[int]) -> Tuple[int, int]:
  """(height, width) of the network's input, pixels."""
  return preprocess_ops.padded_size(
    image_size, 2**params.architecture.max_level
  )


def _label_map(params: Any) -> Any:
  """Names of `eval.label_map_file`; None if it is not there any more."""
  if not params.eval.label_map_file:
    return None
  try:
    return label_map.read_label_map(params.eval.label_map_file)
  except errors.DataError:
    return None
