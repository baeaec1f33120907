"""Predictor from a checkpoint."""

import logging
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from configs import factory, params_dict
from modeling import checkpoint as checkpoint_lib
from serving import export_options
from serving.graph import serving_graph
from serving.predictors import predictor, preprocessing
from utils import errors, label_map

_log = logging.getLogger(__name__)


class CheckpointPredictor(predictor.Predictor):
  """The graph of an evaluation, fed with images.

  Args:
    checkpoint: prefix of the checkpoint's files, or a directory with some.
    params: the whole config, not changed. It always computes in float32 on
      this machine's devices, and always suppresses duplicates.
    image_size: (height, width) into which images are fitted; None: that of the
      parser. It is padded to multiples of the model's stride.
    image_fit: how they are, a key of `preprocess_ops.FITS`; None: as the model
      was evaluated.

  Raises:
    UserError: there is no such checkpoint, or it is of another architecture.
  """

  def __init__(
    self,
    checkpoint: str,
    params: Any,
    image_size: Optional[Sequence[int]] = None,
    image_fit: Optional[str] = None,
  ):
    params = params_dict.with_overrides(
      params, {'use_tpu': False, 'postprocess.apply_nms': True}
    )
    image_size = image_size or factory.parser_settings(params).output_size
    super().__init__(image_size, label_map=_label_map(params))
    self._graph = serving_graph.build(
      params,
      export_options.ExportOptions(
        batch_size=None, image_size=self.image_size, output_image_info=False
      ),
    )
    self._preprocessor = preprocessing.Preprocessor(
      self.image_size,
      self._graph.images.shape.as_list()[1:3],
      image_fit or self._graph.image_fit,
    )
    self._session = self._graph.restored_session(
      checkpoint_lib.resolve_checkpoint(checkpoint)
    )

  def _predict_batch(
    self, images: List[np.ndarray]
  ) -> List[predictor.ImageDetections]:
    prepared = [self._preprocessor.prepare(image) for image in images]
    infos = np.stack([image.image_info for image in prepared])
    outputs = self._session.run(
      self._graph.outputs,
      {
        self._graph.images: np.stack([image.pixels for image in prepared]),
        self._graph.image_info: infos,
      },
    )
    kinds = self._graph.kinds
    return [
      predictor.detections_of_image(
        {kinds[key]: values[row] for key, values in outputs.items()},
        info[2],
        info,
        self._graph.images.shape.as_list()[1:3],
      )
      for row, info in enumerate(infos)
    ]


def _label_map(params: Any) -> Optional[Dict[int, str]]:
  """Names of `eval.label_map_file`; None if it is not there any more."""
  try:
    path = params.eval.label_map_file
    return label_map.read_label_map(path) if path else None
  except errors.DataError as error:
    # As after a move, or from another folder than that of the training.
    _log.warning(
      'eval.label_map_file: %s Classes that no other label map names go by '
      'their ids.',
      error,
    )
    return None
