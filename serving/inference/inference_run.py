"""Run of inference, from files to outputs."""

import logging
import sys
import time
from typing import Any, Iterator, List, Optional, Sequence

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

  SIGINT and SIGTERM end the run after the batch that is under way, and the
  outputs hold what was done; a second one ends it at once, without outputs.

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
  progress = _Progress(sources.count(files))
  stop = interruption.StopOnSignalHook()

  def on_result(result):
    reasons = [_add(output, result) for output in outputs]
    if any(reasons):
      reason = ' '.join(filter(None, reasons))
      progress.failed(pipeline.Failure(result.name, reason))
    else:
      progress.done(result.detections)

  try:
    try:
      with stop.handling_signals():
        pipeline.run(
          _items(files, max_pixels, ids),
          predictor,
          predictor.batch_size or batch_size,
          on_result,
          progress.failed,
          lambda: stop.signal_number is not None,
        )
    finally:
      progress.close()
    for output in outputs if progress.num_done else ():
      _log.info('%s', output.close())
  finally:
    # Of what is closed nothing is left to discard.
    for output in outputs:
      output.discard()
  _tell_what_is_missing(progress, min_score, ids)
  _raise_what_happened(progress, stop.signal_number)


def _items(
  files: Sequence[str], max_pixels: int, ids: Optional[image_ids.ImageIds]
) -> Iterator[Any]:
  items = sources.items(files, image_reader.Decoder(max_pixels, '--max_pixels'))
  return items if ids is None else ids.given_to(items)


def _tell_what_is_missing(
  progress: '_Progress', min_score: float, ids: Optional[image_ids.ImageIds]
) -> None:
  if progress.num_done and progress.best_score < min_score:
    _log.warning(
      'No detection to show: %s.',
      progress.lack
      if progress.best_score < 0
      else f'the best score is {progress.best_score:.3f}, below '
      f'--min_score_threshold={min_score:g}',
    )
  if ids is not None and ids.num_left_out:
    _log.warning(
      '%d images are not in --annotation_file and were left out.',
      ids.num_left_out,
    )


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
  progress: '_Progress', signal_number: Optional[int]
) -> None:
  failures, num_done = progress.failures, progress.num_done
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
    self.best_score = -1.0
    self.lack = ''  # Why there may be no score.
    self.failures: List[pipeline.Failure] = []
    self._total = total
    self._start = self._last_line = time.time()
    self._bar = None
    if sys.stderr.isatty():
      self._bar = tqdm.tqdm(total=total, unit=' images', dynamic_ncols=True)

  def done(self, found: predictor_lib.ImageDetections) -> None:
    self.num_done += 1
    self.best_score = max(self.best_score, *found.scores, -1.0)
    self.lack = 'no score exceeds postprocess.score_threshold of the model'
    if found.class_map is not None:
      self.lack = 'all pixels are of class 0'
    self._update()

  def failed(self, failure: pipeline.Failure) -> None:
    self.failures.append(failure)
    self._update()

  def _update(self) -> None:
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
    num_seen = self.num_done + len(self.failures)
    _log.info(
      '%d%s images, %.1f images/s',
      num_seen,
      f' of {self._total}' if self._total else '',
      num_seen / seconds,
    )
