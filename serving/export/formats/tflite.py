"""TensorFlow Lite: float32, weights in float16, or integers.

Detectors end with raw boxes and scores, since TensorFlow 1.15 converts no NMS;
those of integers with encoded boxes. Inputs and outputs are float32 in all.
"""

import contextlib
import os
import re
import sysconfig
from typing import Iterator, List

import tensorflow.compat.v1 as tf
from tensorflow.lite.python import convert

from modeling import served_output
from serving import contract
from serving.export import request
from serving.export.formats import (
  number_types,
  representative,
  tensor_inputs,
)
from serving.graph import frozen
from utils import errors

FORMAT = 'tflite'
TYPES = ('float32', 'float16', 'int8')


def check(export_request: request.ExportRequest) -> None:
  """Raises ConfigError if a request cannot be carried out."""
  options, kinds = export_request.options, export_request.kinds
  plain = {served_output.PROBABILITIES, served_output.LOGITS}
  if not (kinds & plain or tensor_inputs.ends_raw(export_request)):
    raise errors.ConfigError(
      'export_format: tflite carries raw boxes and scores, probabilities, or '
      'logits; the model {!r} puts out {}. Leave tflite out.'.format(
        export_request.params.type, ', '.join(sorted(kinds))
      )
    )
  if options.batch_size is None:
    raise errors.ConfigError(
      'batch_size: -1 (any number) is not possible with export_format: tflite, '
      'whose models have one size. Give the number of images.'
    )
  number_types.check(export_request, 'tflite_types', TYPES)


def write(
  export_request: request.ExportRequest, directory: str
) -> List[contract.Artefact]:
  """Writes `model.tflite` (float32), `model_float16.tflite` and so on.

  Raises:
    UserError: the checkpoint does not fit the model, or the converter refuses
      it.
  """
  lite_request = tensor_inputs.adapted(export_request, 'TFLite')
  lite_request = lite_request._replace(
    options=lite_request.options._replace(output_image_info=False)
  )
  model = lite_request.frozen()
  artefacts = []
  for name in lite_request.options.tflite_types:
    outputs = _outputs(model, name)
    variant = '' if name == TYPES[0] else name
    artefacts.append(
      request.write_file(
        directory,
        'model{}.tflite'.format(variant and '_' + variant),
        _convert(model, outputs, name, lite_request),
        format=FORMAT,
        input_type=lite_request.options.input_type,
        inputs=model.inputs,
        outputs=outputs,
        variant=variant,
      )
    )
  return artefacts


def _outputs(
  model: frozen.FrozenModel, type_name: str
) -> List[contract.TensorSpec]:
  if type_name != 'int8':
    return model.outputs
  # What decodes boxes mixes integers and floats, which no kernel takes.
  return [s for s in model.outputs if s.kind != served_output.RAW_BOXES]


def _convert(
  model: frozen.FrozenModel,
  output_specs: List[contract.TensorSpec],
  type_name: str,
  lite_request: request.ExportRequest,
) -> bytes:
  with tf.Graph().as_default():
    inputs, outputs = model.add_to_graph()
  converter = tf.lite.TFLiteConverter(
    model.graph_def,
    list(inputs.values()),
    [outputs[spec.key] for spec in output_specs],
  )
  if type_name == 'float16':
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.lite.constants.FLOAT16]
  elif type_name == 'int8':
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
      [batch] for batch in representative.batches(lite_request)
    )
  try:
    with _converter_on_path():
      return converter.convert()
  except errors.UserError:
    raise
  except (convert.ConverterError, RuntimeError, ValueError) as error:
    raise errors.UserError(
      f'TensorFlow 1.15 cannot convert this model to TFLite ({type_name}): '
      f'{_reason(str(error))}'
    ) from error


def _reason(message: str) -> str:
  """The line of a converter's output that says what is wrong."""
  lines = [line.strip() for line in message.strip().splitlines() if line]
  for line in lines:
    if re.search(r'Check failed|not supported|Error', line):
      return line
  return lines[-1] if lines else 'no reason given'


@contextlib.contextmanager
def _converter_on_path() -> Iterator[None]:
  """The converter is a program beside the interpreter of this process."""
  before = os.environ.get('PATH', '')
  scripts = sysconfig.get_path('scripts')
  os.environ['PATH'] = os.pathsep.join(filter(None, [scripts, before]))
  try:
    yield
  finally:
    os.environ['PATH'] = before
