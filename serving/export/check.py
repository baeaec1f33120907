"""Comparison of exported files with their checkpoint."""

import io
import logging
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
import rich.console
import rich.table

from modeling import served_output
from ops import preprocess_ops
from serving import contract
from serving.export import (
  average_precision,
  detection_difference,
  request,
  sample_images,
)
from serving.predictors import (
  checkpoint,
  exported,
  predictor,
  preprocessing,
)
from utils import errors

_log = logging.getLogger(__name__)

_ERRORS = ('box_error', 'score_error', 'mean_score_error', 'mask_error')


class Tolerance(NamedTuple):
  """How much an artefact may differ from its checkpoint.

  Attributes:
    box_error: pixels of the model's image.
    score_error: largest of a detection's score.
    mean_score_error: of all detections. Those that miss the lowest score that
      an image can show by less need no partner.
    matched_share: least share of the detections that has a partner. It is
      below 1 since rounding may decide which of two boxes suppresses the other.
    least_iou: overlap that makes two detections partners.
    mask_error: largest mean difference of the masks of a pair, or share of the
      pixels of an image whose classes differ.
  """

  box_error: float
  score_error: float
  mean_score_error: float
  matched_share: float
  least_iou: float
  mask_error: float = 0.01


# By format and variant.
TOLERANCES: Dict[Tuple[str, str], Tolerance] = {
  ('saved_model', ''): Tolerance(0.05, 0.001, 0.0001, 0.95, 0.98),
  ('frozen_graph', ''): Tolerance(0.05, 0.001, 0.0001, 0.95, 0.98),
  ('onnx', ''): Tolerance(0.1, 0.002, 0.0002, 0.95, 0.98),
  ('onnx', 'int8'): Tolerance(32.0, 0.5, 0.05, 0.8, 0.6, 0.1),
  ('tflite', ''): Tolerance(0.1, 0.002, 0.0002, 0.95, 0.98),
  ('tflite', 'float16'): Tolerance(8.0, 0.02, 0.002, 0.9, 0.9),
  # A few scores move far; the mean tells whether the calibration suits.
  ('tflite', 'int8'): Tolerance(64.0, 0.8, 0.15, 0.6, 0.5, 0.1),
}


class Comparison(NamedTuple):
  """One artefact beside the checkpoint."""

  name: str
  measured: detection_difference.Difference
  allowed: Tolerance

  @property
  def verdict(self) -> str:
    # Written so that a value that is not a number is no success.
    is_within = self.measured.matched_share >= self.allowed.matched_share and (
      all(
        getattr(self.measured, name) <= getattr(self.allowed, name)
        for name in _ERRORS
        if getattr(self.measured, name) is not None
      )
    )
    if not is_within:
      return 'differs'
    return 'ok' if self.measured.num_compared else 'nothing compared'

  def cells(self) -> List[str]:
    """What was measured, with what is allowed."""
    measured, allowed = self.measured, self.allowed
    share = '{0.matched_share:.1%} of {0.num_compared}'.format(measured)
    has_boxes = measured.box_error is not None
    cells = [
      f'scores {measured.score_error:.5f} (<= {allowed.score_error:g})',
      f'their mean {measured.mean_score_error:.5f} (<= '
      f'{allowed.mean_score_error:g})',
      'matched {} (>= {:.0%})'.format(
        share if measured.num_compared else 'none', allowed.matched_share
      ),
    ]
    if has_boxes:
      cells.insert(
        0, f'boxes {measured.box_error:.4f} px (<= {allowed.box_error:g})'
      )
    if measured.mask_error is not None:
      what = 'masks' if has_boxes else 'share of pixels of other classes'
      cells.append(
        f'{what} {measured.mask_error:.5f} (<= {allowed.mask_error:g})'
      )
    return cells


def check(
  export_request: request.ExportRequest,
  export_dir: str,
  written: contract.Contract,
) -> List[Comparison]:
  """Runs a few images through the checkpoint and through each artefact.

  They come from `eval.eval_file_pattern`, else from the option
  `representative_file_pattern`, where calibration leaves the first ones out,
  else they are made up. The differences are logged as a table; so is the AP of
  a model of integers in ONNX where records of the evaluation are there.

  Args:
    export_request: what was exported.
    export_dir: where, with contract and config.
    written: the contract.

  Raises:
    UserError: an artefact does not run or differs by more than the tolerance
      of its format.
  """
  images, origin = _images(export_request)
  references: Dict[str, checkpoint.CheckpointPredictor] = {}
  expected: Dict[bool, List] = {}
  comparisons = []
  quantized: Dict[str, predictor.Predictor] = {}
  for artefact in written.artefacts:
    # The caller of an image_tensor resizes, and rounds; that is no difference.
    is_fitted = artefact.input_type == 'image_tensor'
    shown, fitting = images, written
    if is_fitted:
      shown = _fitted(images, written)
      fitting = written._replace(image_fit=preprocess_ops.WHOLE)
    if fitting.image_fit not in references:
      references[fitting.image_fit] = checkpoint.CheckpointPredictor(
        export_request.checkpoint,
        export_request.params,
        written.image_size,
        fitting.image_fit,
      )
    if is_fitted not in expected:
      expected[is_fitted] = references[fitting.image_fit].predict(shown)
    allowed = TOLERANCES[artefact.format, artefact.variant]
    model = exported.ExportedPredictor(export_dir, fitting, artefact)
    measured = detection_difference.compare(
      expected[is_fitted],
      model.predict(shown),
      [
        min(s / side for s, side in zip(written.image_size, image.shape))
        for image in shown
      ],
      least_iou=allowed.least_iou,
      score_tolerance=allowed.mean_score_error,
      settings=export_request.params.get('postprocess'),
    )
    comparisons.append(Comparison(artefact.name, measured, allowed))
    if (artefact.format, artefact.variant) == ('onnx', 'int8'):
      quantized = {
        'checkpoint': references[fitting.image_fit],
        artefact.name: model,
      }
  _log.info('%s', _table(comparisons, len(images), origin))
  unknown = [c.name for c in comparisons if not c.measured.num_compared]
  if unknown:
    _log.warning(
      'NOT COMPARED: %s. In these images (%s) no score exceeds '
      'postprocess.score_threshold clearly. Train longer, or name records with '
      'objects: --params_override=eval.eval_file_pattern=...',
      ', '.join(unknown),
      origin,
    )
  _raise_what_differs(comparisons)
  _log_average_precision(quantized, export_request)
  return comparisons


def _log_average_precision(
  predictors: Dict[str, predictor.Predictor],
  export_request: request.ExportRequest,
) -> None:
  pattern = export_request.params.eval.eval_file_pattern
  if not pattern or served_output.BOXES not in export_request.kinds:
    return
  found = average_precision.measure(predictors, pattern)
  if found:
    _log.info(
      'AP of up to %d images of eval.eval_file_pattern: %s.',
      average_precision.MOST_IMAGES,
      ', '.join(f'{name} {value:.4f}' for name, value in found.items()),
    )


def _raise_what_differs(comparisons: Sequence[Comparison]) -> None:
  failed = [c for c in comparisons if c.verdict == 'differs']
  if failed:
    raise errors.UserError(
      '{} differs from the checkpoint by more than the format allows: {}. '
      'Nothing was exported. --nocheck exports without this check.'.format(
        ', '.join(c.name for c in failed),
        '; '.join(c.name + ': ' + ', '.join(c.cells()) for c in failed),
      )
    )


def _images(
  export_request: request.ExportRequest,
) -> Tuple[List[np.ndarray], str]:
  """Returns images and where they come from."""
  params, _, options = export_request
  for key, pattern in (
    ('eval.eval_file_pattern', params.eval.eval_file_pattern),
    ('representative_file_pattern', options.representative_file_pattern),
  ):
    try:
      images = sample_images.from_records(
        pattern, sample_images.NUM_CHECKED, key
      )
      images = list(images) if pattern else []
    except errors.UserError:
      # A checkpoint is often exported far from its data.
      continue
    if images:
      return images, key
  height, width = options.image_size
  made_up = [
    image
    for size in ((height, width), (height, 2 * width))
    for image in sample_images.made_up(sample_images.NUM_CHECKED // 2, *size)
  ]
  return made_up, 'made up'


def _fitted(
  images: Sequence[np.ndarray], written: contract.Contract
) -> List[np.ndarray]:
  preprocessor = preprocessing.Preprocessor(
    written.image_size, written.image_size, written.image_fit
  )
  return [
    preprocessing.to_pixels(preprocessor.prepare(image).pixels)
    for image in images
  ]


def _table(
  comparisons: Sequence[Comparison], num_images: int, origin: str
) -> str:
  table = rich.table.Table(
    title='Largest differences from the checkpoint, {} image(s): {}'.format(
      num_images, origin
    ),
    show_header=False,
  )
  for comparison in comparisons:
    table.add_row(comparison.name, comparison.verdict, *comparison.cells())
  stream = io.StringIO()
  rich.console.Console(file=stream, width=160).print(table)
  return stream.getvalue().rstrip()
