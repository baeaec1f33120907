"""A whole run of inference: from arguments to files."""

import contextlib
import logging
from typing import Iterator, List, Optional, Sequence

import rich.console
import rich.markup
import rich.table
import tqdm

from executor.inference import decoding, pipeline, sources, writers
from executor.predictors import predictor as predictor_lib
from utils import errors

_log = logging.getLogger(__name__)


class UnreadableImagesError(errors.UserError):
  """Some images could not be read; the others were dealt with."""

  exit_code = 3


def run(
  files: Sequence[str],
  predictor: predictor_lib.Predictor,
  outputs: Sequence[writers.Writer],
  batch_size: int,
  max_pixels: int,
) -> None:
  """Detects objects in all files and writes what is wanted.

  An interruption (Ctrl-C) writes what was done until then.

  Args:
    files: of `sources.find_files`.
    predictor: the detector.
    outputs: take the results.
    batch_size: images at once; a detector with a fixed batch has its own.
    max_pixels: larger images are refused.

  Raises:
    UnreadableImagesError: images could not be read; they are listed.
    UserError: none could be read.
  """
  failures: List[pipeline.Failure] = []
  num_done = 0
  with _finishing(outputs), _progress(sources.count(files)) as progress:

    def on_result(result):
      nonlocal num_done
      for output in outputs:
        output.add(result)
      num_done += 1
      progress.update()

    def on_failure(failure):
      failures.append(failure)
      progress.update()

    pipeline.run(
      sources.items(files, decoding.Decoder(max_pixels)),
      predictor,
      predictor.batch_size or batch_size,
      on_result,
      on_failure,
    )
  if failures:
    _print_failures(failures)
    raise UnreadableImagesError(
      '{} of {} images could not be read; they are listed above. {}'.format(
        len(failures),
        len(failures) + num_done,
        'The others are done.' if num_done else 'Nothing was detected.',
      )
    )
  if not num_done:
    raise errors.DataError('The input holds no image.')


@contextlib.contextmanager
def _finishing(outputs: Sequence[writers.Writer]) -> Iterator[None]:
  """Closes the writers at the end, also when a person ends it."""
  try:
    yield
  except KeyboardInterrupt:
    _log.warning('Interrupted; writing what is done.')
    _close(outputs)
    raise
  except BaseException:
    for output in outputs:
      output.discard()
    raise
  _close(outputs)


def _close(outputs: Sequence[writers.Writer]) -> None:
  for output in outputs:
    _log.info('%s', output.close())


def _progress(total: Optional[int]) -> tqdm.tqdm:
  return tqdm.tqdm(total=total, unit=' images', dynamic_ncols=True)


def _print_failures(failures: Sequence[pipeline.Failure]) -> None:
  table = rich.table.Table(title='Could not be read', title_justify='left')
  table.add_column('image', overflow='fold')
  table.add_column('reason', overflow='fold')
  for failure in failures:
    table.add_row(
      rich.markup.escape(failure.name), rich.markup.escape(failure.reason)
    )
  rich.console.Console(stderr=True).print(table)
