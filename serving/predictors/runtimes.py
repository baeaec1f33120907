"""Runtimes of the formats: an array in, arrays by signature key out."""

import contextlib
import logging
import os
import threading
from typing import Any, Callable, Dict, Iterator, Union

import numpy as np
import tensorflow.compat.v1 as tf
from google.protobuf import message
from tensorflow.python.saved_model import loader_impl

from serving import contract as contract_lib
from utils import errors, registry

_log = logging.getLogger(__name__)

Run = Callable[[np.ndarray], Dict[str, np.ndarray]]

_SERVING = tf.saved_model.tag_constants.SERVING

RUNTIMES = registry.Registry('format')


def load(export_dir: str, artefact: contract_lib.Artefact) -> Run:
  """Loads an artefact; returns a function that runs a batch through it.

  The function may be called from several threads.

  Raises:
    UserError: files are absent or damaged.
  """
  path = os.path.normpath(os.path.join(export_dir, artefact.path))
  if not os.path.exists(path):
    raise errors.UserError(
      f"'{path}' is absent, although the contract of '{export_dir}' lists it."
    )
  # TFLite would read beyond the end of a file that is cut off.
  if artefact.num_bytes not in (None, os.path.getsize(path)):
    raise errors.UserError(
      f"'{path}' has {os.path.getsize(path)} bytes, but the contract says "
      f'{artefact.num_bytes}: it is damaged. Export the model again.'
    )
  return RUNTIMES.get(artefact.format)(path, artefact)


@contextlib.contextmanager
def _damage_explained(path: str, *errors_of_runtime: Any) -> Iterator[None]:
  try:
    yield
  except errors_of_runtime as error:
    raise errors.UserError(
      "'{}' cannot be loaded, it may be damaged: {}. Export the model "
      'again.'.format(path, str(error).strip().rstrip('.'))
    ) from error


@RUNTIMES.register('saved_model')
def _saved_model(path: str, artefact: contract_lib.Artefact) -> Run:
  with _damage_explained(path, OSError, RuntimeError, tf.errors.OpError):
    loader = loader_impl.SavedModelLoader(path)
    meta_graph = loader.get_meta_graph_def_from_tags([_SERVING])
    saver = meta_graph.saver_def
    restore = [saver.restore_op_name] if saver.restore_op_name else []
    specs = (*artefact.inputs, *artefact.outputs)
    ends = [spec.name.rpartition(':')[0] for spec in specs]
    # Every other node once gave variables their values, and each takes time.
    used = tf.graph_util.extract_sub_graph(meta_graph.graph_def, ends + restore)
    with tf.Graph().as_default() as graph:
      tf.import_graph_def(used, name='')
    session = tf.Session(graph=graph)
    if restore:
      values = os.path.join(path, 'variables', 'variables')
      session.run(restore, {saver.filename_tensor_name: values})
  return _session_run(session, artefact)


@RUNTIMES.register('frozen_graph')
def _frozen_graph(path: str, artefact: contract_lib.Artefact) -> Run:
  graph_def = tf.GraphDef()
  with _damage_explained(path, OSError, message.DecodeError, ValueError):
    with open(path, 'rb') as source:
      graph_def.ParseFromString(source.read())
    with tf.Graph().as_default() as graph:
      tf.import_graph_def(graph_def, name='')
  return _session_run(tf.Session(graph=graph), artefact)


def _session_run(session: tf.Session, artefact: contract_lib.Artefact) -> Run:
  placeholder = artefact.inputs[0]
  # Prepared once; also safe to be called from several threads.
  return session.make_callable(
    {spec.key: spec.name for spec in artefact.outputs}, [placeholder.name]
  )


def onnx_session(model: Union[str, bytes]) -> Any:
  """Returns an onnxruntime.InferenceSession of a file or of its content."""
  # The other formats do without it.
  import onnxruntime

  options = onnxruntime.SessionOptions()
  # One for each core that this process may use.
  options.intra_op_num_threads = len(os.sched_getaffinity(0))
  # Errors become exceptions; warnings are about weights that nothing reads.
  options.log_severity_level = 3
  return onnxruntime.InferenceSession(
    model, options, providers=['CPUExecutionProvider']
  )


@RUNTIMES.register('onnx')
def _onnx(path: str, artefact: contract_lib.Artefact) -> Run:
  from onnxruntime.capi import onnxruntime_pybind11_state as state

  with _damage_explained(
    path, state.InvalidProtobuf, state.InvalidGraph, state.Fail
  ):
    session = onnx_session(path)
  if artefact.variant == 'int8' and not _has_integer_products():
    _log.warning(
      'This processor has no VNNI: int8 is slower here, and sums of 8-bit '
      'products may be cut off, which changes scores. The float32 model of the '
      'export (onnx without a variant) is exact.'
    )
  (placeholder,) = artefact.inputs
  keys = [spec.key for spec in artefact.outputs]
  names = [spec.name for spec in artefact.outputs]

  def run(batch):
    return dict(zip(keys, session.run(names, {placeholder.name: batch})))

  return run


def _has_integer_products() -> bool:
  """Whether a processor sums products of 8 bits in one step; ARM's do."""
  try:
    with open('/proc/cpuinfo', encoding='ascii') as source:
      flags = set(source.read().split())
  except OSError:
    return True
  return 'flags' not in flags or bool(flags & {'avx512_vnni', 'avx_vnni'})


@RUNTIMES.register('tflite')
def _tflite(path: str, artefact: contract_lib.Artefact) -> Run:
  with _damage_explained(path, ValueError, RuntimeError):
    interpreter = tf.lite.Interpreter(model_path=path)
    interpreter.allocate_tensors()
  (placeholder,) = interpreter.get_input_details()
  details = interpreter.get_output_details()
  # By position: the names of outputs do not all survive the conversion.
  outputs = [
    (spec.key, detail['index'])
    for spec, detail in zip(artefact.outputs, details)
  ]
  lock = threading.Lock()

  def run(batch):
    with lock:
      interpreter.set_tensor(placeholder['index'], batch)
      interpreter.invoke()
      return {key: interpreter.get_tensor(index) for key, index in outputs}

  return run
