"""Exports a checkpoint: all formats, and what a user needs beside them."""

import logging
import os
import re
from typing import Any, Optional, Sequence, Tuple, Union

import numpy as np
import tensorflow.compat.v1 as tf

from configs import params_dict, resolver
from modeling import checkpoint as checkpoint_lib
from ops import preprocess_ops
from serving import contract
from serving.export import finished_directory, formats, request
from utils import errors, label_map, version

_log = logging.getLogger(__name__)

_PARAMS = 'params.yaml'
_LABEL_MAP = 'label_map.txt'


def export(
  export_dir: str,
  checkpoint_path: str,
  model: Optional[str] = None,
  config_file: str = '',
  params_override: Any = '',
  use_tpu: bool = False,
  batch_size: Optional[int] = 1,
  image_size: Optional[Tuple[int, int]] = None,
  input_type: str = 'raw_image_tensor',
  input_name: str = 'input',
  output_image_info: bool = True,
  output_normalized_coordinates: bool = False,
  cast_num_detections_to_float: bool = False,
  cast_detection_classes_to_float: bool = False,
  override_export_dir: bool = False,
  export_format: Union[str, Sequence[str]] = 'saved_model',
  freeze: bool = False,
  check: bool = True,
  **format_options: Any,
) -> contract.Contract:
  """Writes a trained model in one or several formats.

  Args:
    export_dir: directory to write; it appears when it is whole.
    checkpoint_path: prefix of a checkpoint's files, or a directory that holds
      a checkpoint.
    model: name of the model; by default the config's `type`.
    config_file: parameters; by default the `params.yaml` beside the
      checkpoint.
    params_override: parameters that go before those of the file.
    use_tpu: write a second meta graph of the SavedModel, for TPUs.
    batch_size: images at once; None or -1 for any number, with NMS `batched`
      unless `params_override` names a version.
    image_size: (height, width) in pixels that images are fitted into; by
      default that of the config's parser, as in evaluation.
    input_type: see `serving_inputs.build`.
    input_name: signature key of the input.
    output_image_info: whether `image_info` is an output.
    output_normalized_coordinates: boxes as shares of the original image's
      sides; otherwise in pixels of the resized image.
    cast_num_detections_to_float: int32 to float32.
    cast_detection_classes_to_float: int32 to float32.
    override_export_dir: replace `export_dir` if it holds an export.
    export_format: names of formats, in a sequence or separated by commas.
    freeze: the SavedModel holds weights as constants in place of variables.
    check: run a few images through the checkpoint and through each format, and
      fail where they differ too much.
    **format_options: other fields of `request.ExportRequest`.

  Returns:
    What was written, as in `assets.extra/contract.json`.

  Raises:
    ConfigError: an argument or parameter has a value that cannot work.
    UserError: `export_dir` exists, the checkpoint cannot be read or does not
      fit the model, or a check failed.
  """
  writers = {name: formats.FORMATS.get(name) for name in _names(export_format)}
  batch_size = None if batch_size == -1 else batch_size
  if use_tpu and batch_size is None:
    raise errors.ConfigError(
      'batch_size: -1 (any number) is not possible with use_tpu: true, since '
      'TPUs compile for one size. Give the number of images.'
    )
  checkpoint = checkpoint_lib.resolve_checkpoint(checkpoint_path)
  with finished_directory.finished_directory(
    export_dir, override_export_dir, sources=[checkpoint]
  ) as directory:
    resolved = resolver.resolve(
      model=model,
      config_file=config_file
      or checkpoint_lib.config_beside(checkpoint, model),
      params_override=params_override,
      flags={'use_tpu': use_tpu},
      mode='export',
    )
    params = resolved.params
    if batch_size is None:
      params = _dynamic_batch_params(resolved)
    export_request = request.ExportRequest(
      params=params,
      checkpoint=checkpoint,
      input_type=input_type,
      batch_size=batch_size,
      image_size=_image_size(params, image_size),
      input_name=input_name,
      output_image_info=output_image_info,
      output_normalized_coordinates=output_normalized_coordinates,
      cast_num_detections_to_float=cast_num_detections_to_float,
      cast_detection_classes_to_float=cast_detection_classes_to_float,
      use_tpu=use_tpu,
      freeze=freeze,
      **format_options,
    )
    export_request.check(writers, is_compared=check)
    artefacts = []
    for name, write in writers.items():
      _log.info('Writing %s.', name)
      artefacts += write(export_request, directory)
    written = _contract(export_request, artefacts)
    _write_assets(params, written, directory)
    if check:
      # Other runtimes take seconds to import.
      from serving.export import check as check_lib

      check_lib.check(export_request, directory, written)
  _log.info(
    'Exported to %s: %s, step %s, images of %d x %d pixels (height x width).',
    export_dir,
    written.checkpoint,
    'unknown' if written.step is None else written.step,
    *written.image_size,
  )
  return written


def _image_size(params: Any, given: Optional[Sequence[int]]) -> Tuple[int, int]:
  """(height, width) to export; warns of one that was not trained for."""
  key = params.architecture.parser
  trained = getattr(params, key).output_size
  size = trained if given is None else given
  if tuple(size) != tuple(trained):
    _log.warning(
      'input_image_size: %d,%d is not the size of %s.output_size, %d,%d, at '
      'which the model was trained and evaluated; it will detect worse.',
      *size,
      key,
      *trained,
    )
  return size[0], size[1]


def _dynamic_batch_params(resolved: resolver.Resolved) -> Any:
  """Parameters of an export that takes any number of images.

  The original has `batched` NMS there, whose classes are floats, and clients
  count on it; an override of this very export may ask for another.
  """
  old = resolved.params.postprocess.nms_version
  is_asked_for = resolved.sources['postprocess.nms_version'] == 'override'
  if is_asked_for or old == 'batched':
    return resolved.params
  _log.info(
    'Any number of images: postprocess.nms_version is batched rather than %s, '
    'and classes are float32. --params_override=postprocess.nms_version=%s '
    'keeps it.',
    old,
    old,
  )
  params = params_dict.ParamsDict(resolved.params)
  params.override({'postprocess': {'nms_version': 'batched'}})
  params.lock()
  return params


def _names(export_format: Union[str, Sequence[str]]) -> Sequence[str]:
  if isinstance(export_format, str):
    export_format = export_format.split(',')
  names = [name.strip() for name in export_format]
  if not names:
    raise errors.ConfigError(
      'export_format: nothing is named; known are {}.'.format(
        ', '.join(formats.FORMATS.names())
      )
    )
  # Each once, in the order given.
  return list(dict.fromkeys(names))


def _stride(export_request: request.ExportRequest) -> int:
  return 2**export_request.params.architecture.max_level


def _contract(
  export_request: request.ExportRequest,
  artefacts: Sequence[contract.Artefact],
) -> contract.Contract:
  params = export_request.params
  return contract.Contract(
    model=params.type,
    image_size=export_request.image_size,
    padded_size=preprocess_ops.padded_size(
      export_request.image_size, _stride(export_request)
    ),
    batch_size=export_request.batch_size,
    coordinates=(
      contract.NORMALIZED
      if export_request.output_normalized_coordinates
      else contract.PIXELS
    ),
    mean_rgb=[round(float(x), 6) for x in preprocess_ops.MEAN_RGB],
    stddev_rgb=[round(float(x), 6) for x in preprocess_ops.STDDEV_RGB],
    num_classes=params.architecture.num_classes,
    checkpoint=os.path.basename(export_request.checkpoint),
    step=_step(export_request.checkpoint),
    versions={
      'tpu-detection': version.VERSION,
      'tensorflow': tf.__version__,
      'numpy': np.__version__,
    },
    artefacts=list(artefacts),
  )


def _step(checkpoint: str) -> Optional[int]:
  reader = tf.train.load_checkpoint(checkpoint)
  if reader.has_tensor(tf.GraphKeys.GLOBAL_STEP):
    return int(reader.get_tensor(tf.GraphKeys.GLOBAL_STEP))
  suffix = re.search(r'-(\d+)$', checkpoint)
  return int(suffix.group(1)) if suffix else None


def _write_assets(
  params: Any, written: contract.Contract, directory: str
) -> None:
  assets = os.path.join(directory, contract.DIRECTORY)
  os.makedirs(assets, exist_ok=True)
  resolver.save_params(params, assets)
  path = params.eval.label_map_file
  if path:
    try:
      names = label_map.read_label_map(path)
    except errors.DataError as error:
      _log.warning('Exported without class names: %s', error)
    else:
      label_map.write_label_map(os.path.join(assets, _LABEL_MAP), names)
  written.write(directory)
