"""Types of numbers that a format can be written in."""

from typing import Sequence

from modeling import served_output
from serving.export import request
from serving.export.formats import representative
from utils import errors

INT8 = 'int8'
# What integers are told by; a model that puts out neither takes none.
INT8_KINDS = (
  served_output.RAW_SCORES,
  served_output.RAW_ENCODED_BOXES,
  served_output.PROBABILITIES,
  served_output.LOGITS,
)


def check(
  export_request: request.ExportRequest, option: str, known: Sequence[str]
) -> None:
  """Looks at the types that one of the options names.

  Args:
    export_request: what is asked for.
    option: name of the option.
    known: what it may name.

  Raises:
    ConfigError: a type is unknown, or int8 is not possible.
  """
  given = getattr(export_request.options, option)
  if not given:
    raise errors.ConfigError(
      '{}: nothing is named; known are {}.'.format(option, ', '.join(known))
    )
  for name in given:
    if name not in known:
      raise errors.ConfigError(
        "{}: '{}' is unknown; known are {}.{}".format(
          option, name, ', '.join(known), errors.did_you_mean(name, known)
        )
      )
  if INT8 not in given:
    return
  if not export_request.options.representative_file_pattern:
    raise errors.ConfigError(
      f'{option}: int8 needs representative_file_pattern: TFRecords of images '
      'such as the model will see, to find the range of each value.'
    )
  if not export_request.kinds.intersection(INT8_KINDS):
    raise errors.ConfigError(
      f'{option}: int8 is for detectors in one stage, classifiers and class '
      f'maps; the model {export_request.params.type!r} is none of them. Leave '
      'int8 out.'
    )
  # Before the conversion takes its time.
  next(representative.images(export_request))
