"""Problems of a converted set that no single image shows."""

import collections
import os
from typing import Any, Dict

from tools.record_sources import record_kind
from tools.record_sources import report as report_lib
from utils import errors


def check(
  coco: Dict[str, Any],
  report: report_lib.Report,
  kind: record_kind.RecordKind,
) -> None:
  """Raises DataError if a set cannot have been meant as it is.

  Args:
    coco: what is to be written, as a COCO dict.
    report: what was left out.
    kind: of the records.
  """
  if not coco['images']:
    hint = '--image_dir is where the names of image files start.'
    raise errors.DataError(
      '{} {} {}'.format(
        kind.nothing,
        report.summary(),
        hint if report.count('missing_image') else '',
      ).rstrip()
    )
  read = {_ending(image['file_name']) for image in coco['images']}
  unknown = collections.Counter(
    _ending(name) for name in report.files('unknown_format')
  )
  for ending, count in unknown.items():
    if ending not in read and count > 1:
      raise errors.DataError(
        f"'{ending}': none of the {count} files of this format can be read. "
        f'Convert them to JPEG or PNG first. {report.summary()}'
      )
  objection = kind.objection(coco, report)
  if objection:
    raise errors.DataError(f'{objection} {report.summary()}'.rstrip())


def _ending(file_name: str) -> str:
  return os.path.splitext(file_name)[1].lower()
