"""TensorFlow Lite: float32, weights in float16, or integers.

The models end with raw boxes and scores, since TensorFlow 1.15 converts no NMS;
the one of integers with encoded boxes. Inputs and outputs are float32 in all.
"""

import contextlib
import os
import re
import sysconfig
from typing import Any, Iterator, List

import tensorflow.compat.v1 as tf
from tensorflow.lite.python import convert

from serving import contract
from serving.export import request
from serving.export.formats import representative, tensor_inputs
from serving.graph import frozen
from utils import errors

FORMAT = 'tflite'
TYPES = ('float32', 'float16', 'int8')


def write(
  export_request: request.ExportRequest, directory: str
) -> List[contract.Artefact]:
  """Writes `model.tflite` (float32), `model_float16.tflite` and so on.

  Args:
    export_request: what to export; images become float tensors.
    directory: must be there.

  Raises:
    UserError: the checkpoint does not fit the model, or the converter refuses
      it.
    ConfigError: a value of the request cannot work.
  """
  _check(export_request)
  lite_request, model = tensor_inputs.freeze(
    export_request._replace(output_image_info=False), 'TFLite', input_types=()
  )
  artefacts = []
  for name in export_request.tflite_types:
    outputs = _outputs(model, name)
    content = _convert(_converter(model, outputs), name, lite_request)
    file_name = 'model{}.tflite'.format('' if name == TYPES[0] else '_' + name)
    with open(os.path.join(directory, file_name), 'wb') as target:
      target.write(content)
    artefacts.append(
      contract.Artefact(
        format=FORMAT,
        path=file_name,
        input_type=lite_request.input_type,
        inputs=model.input_specs,
        outputs=outputs,
        has_nms=False,
        variant='' if name == TYPES[0] else name,
        num_bytes=len(content),
      )
    )
  return artefacts


def _check(export_request: request.ExportRequest) -> None:
  if not export_request.tflite_types:
    raise errors.ConfigError(
      'tflite_types: nothing is named; known are {}.'.format(', '.join(TYPES))
    )
  for name in export_request.tflite_types:
    if name not in TYPES:
      raise errors.ConfigError(
        "tflite_types: '{}' is unknown; known are {}.{}".format(
          name, ', '.join(TYPES), errors.did_you_mean(name, TYPES)
        )
      )
  if export_request.batch_size is None:
    raise errors.ConfigError(
      'batch_size: -1 (any number) is not possible with export_format: tflite, '
      'whose models have one size. Give the number of images.'
    )
  pattern = export_request.representative_file_pattern
  if 'int8' in export_request.tflite_types and not pattern:
    raise errors.ConfigError(
      'tflite_types: int8 needs representative_file_pattern: TFRecords of '
      'images such as the model will see, to find the range of each value.'
    )
  if 'int8' in export_request.tflite_types:
    # Before the conversion takes its time.
    next(representative.images(export_request))


def _outputs(
  model: frozen.FrozenModel, type_name: str
) -> List[contract.TensorSpec]:
  if type_name != 'int8':
    return model.output_specs
  # What decodes boxes mixes integers and floats, which no kernel takes.
  return [spec for spec in model.output_specs if spec.key != 'raw_boxes']


def _converter(
  model: frozen.FrozenModel, output_specs: List[contract.TensorSpec]
) -> tf.lite.TFLiteConverter:
  with tf.Graph().as_default() as graph:
    tf.import_graph_def(model.graph_def, name='')
    inputs = _tensors(graph, model.input_specs)
    outputs = _tensors(graph, output_specs)
  return tf.lite.TFLiteConverter(model.graph_def, inputs, outputs)


def _convert(
  converter: tf.lite.TFLiteConverter,
  type_name: str,
  lite_request: request.ExportRequest,
) -> bytes:
  if type_name == 'float16':
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.lite.constants.FLOAT16]
  elif type_name == 'int8':
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _batches(lite_request)
  try:
    with _converter_on_path():
      return converter.convert()
  except errors.UserError:
    raise
  except (convert.ConverterError, RuntimeError, ValueError) as error:
    raise errors.UserError(
      'TensorFlow 1.15 cannot convert this model to TFLite ({}): {}'.format(
        type_name, _reason(str(error))
      )
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


def _batches(lite_request: request.ExportRequest) -> Iterator[List[Any]]:
  for batch in representative.batches(lite_request):
    yield [batch]


def _tensors(graph: tf.Graph, specs: List[contract.TensorSpec]) -> List[Any]:
  tensors = []
  for spec in specs:
    tensor = graph.get_tensor_by_name(spec.name)
    tensor.set_shape(spec.shape)
    tensors.append(tensor)
  return tensors
