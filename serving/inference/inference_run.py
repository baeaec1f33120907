"""A whole run of inference: from files to outputs."""

import logging
import sys
import time
from typing import List, Optional, Sequence

import tqdm

from dataloader import image_reader
from serving.inference import image_ids, pipeline, sources, writers
from serving.predictors import predictor as predictor_lib
from utils import errors, interruption

_log = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 10


class UnusableImagesError(errors.UserError):
  """Some images could not be used; the others were dealt with."""

  exit_code = 3


def run(
  files: Sequence[str],
  predictor: predictor_lib.Predictor,
  outputs: Sequence[writers.Writer],
  ids: Optional[image_ids.ImageIds],
  batch_size: int,
  max_pixels: int,
  min_score: float = 0.0,
) -> None:
  """Detects objects in all files and writes what is wanted.

  SIGINT (Ctrl-C) and SIGTERM end the run after the batch that is under way, and
  the outputs then hold what was done. A second one ends it at once, without
  outputs.

  Args:
    files: of `sources.find_files`.
    predictor: the detector; one with a fixed batch sets the batch size.
    outputs: take the results.
    ids: gives images their ids, if an output needs them.
    batch_size: images at once.
    max_pixels: larger images are refused.
    min_score: lowest score that outputs show; a warning tells if there is none.

  Raises:
    UnusableImagesError: images could not be used; they are listed.
    DataError: none is in the annotation file.
    Interrupted: by a signal.
  """
  failures: List[pipeline.Failure] = []
  progress = _Progress(sources.count(files))
  best_score = -1.0
  stop = interruption.StopOnSignalHook()

  def on_result(result):
    nonlocal best_score
    best_score = max(best_score, *result.detections.scores, -1.0)
    reasons = [_add(output, result) for output in outputs]
    if any(reasons):
      on_failure(pipeline.Failure(result.name, ' '.join(filter(None, reasons))))
    else:
      progress.update()

  def on_failure(failure):
    failures.append(failure)
    progress.update(is_done=False)

  items = sources.items(files, image_reader.Decoder(max_pixels, '--max_pixels'))
  try:
    with stop.handling_signals():
      pipeline.run(
        items if ids is None else ids.given_to(items),
        predictor,
        predictor.batch_size or batch_size,
        on_result,
        on_failure,
        lambda: stop.signal_number is not None,
      )
    progress.close()
    if progress.num_done:
      for output in outputs:
        _log.info('%s', output.close())
  except BaseException:
    progress.close()
    for output in outputs:
      output.discard()
    raise
  if not progress.num_done:
    for output in outputs:
      output.discard()
  elif best_score < min_score:
    _log.warning(
      'No detection to show: %s.',
      'no score exceeds postprocess.score_threshold of the model'
      if best_score < 0
      else 'the best score is {:.3f}, below --min_score_threshold={:g}'.format(
        best_score, min_score
      ),
    )
  if ids is not None and ids.num_left_out:
    _log.warning(
      '%d images are not in --annotation_file and were left out.',
      ids.num_left_out,
    )
  _raise_what_happened(failures, progress.num_done, stop.signal_number)


def _add(output: writers.Writer, result: pipeline.Result) -> str:
  """Adds a result; returns why this one is not possible, or ''."""
  try:
    output.add(result)
  except errors.UserError as error:
    if not isinstance(error, errors.DataError):
      raise  # Nothing more can be written.
    return str(error)
  except Exception as error:
    return pipeline.reason(error)
  return ''


def _raise_what_happened(
  failures: Sequence[pipeline.Failure],
  num_done: int,
  signal_number: Optional[int],
) -> None:
  for failure in failures:
    print('{}: {}'.format(*failure), file=sys.stderr)
  written = (
    f'The outputs hold the other {num_done:,}.'
    if num_done
    else 'Nothing was written.'
  )
  if signal_number is not None:
    raise interruption.Interrupted(
      'Interrupted after {:,} images. {}'.format(
        num_done + len(failures), written.replace('the other ', '')
      ),
      signal_number,
    )
  if failures:
    raise UnusableImagesError(
      f'{len(failures):,} of {len(failures) + num_done:,} images could not be '
      f'used; they are listed above. {written}'
    )
  if not num_done:
    raise errors.DataError(
      'No image is in --annotation_file. Its file names, or ends of paths, '
      'have to be those of the images.'
    )


class _Progress:
  """A bar on a terminal, lines elsewhere, and the speed at the end."""

  def __init__(self, total: Optional[int]):
    self.num_done = 0
    self._num_seen = 0
    self._total = total
    self._start = self._last_line = time.time()
    self._bar = None
    if sys.stderr.isatty():
      self._bar = tqdm.tqdm(total=total, unit=' images', dynamic_ncols=True)

  def update(self, is_done: bool = True) -> None:
    self.num_done += is_done
    self._num_seen += 1
    if self._bar is not None:
      self._bar.update()
    elif time.time() - self._last_line > _SECONDS_BETWEEN_LINES:
      self._last_line = time.time()
      self._print_line()

  def close(self) -> None:
    if self._bar is not None:
      self._bar.close()
    self._print_line()

  def _print_line(self) -> None:
    seconds = max(time.time() - self._start, 1e-6)
    _log.info(
      '%d%s images, %.1f images/s',
      self._num_seen,
      f' of {self._total}' if self._total else '',
      self._num_seen / seconds,
    )
