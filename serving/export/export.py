"""Export of a checkpoint into all formats that are asked for."""

import logging
import os
from typing import Any, Dict, Optional, Sequence, Tuple, Union

from configs import factory, params_dict, resolver
from modeling import checkpoint as checkpoint_lib
from serving import export_options
from serving.export import contract, finished_directory, formats, request
from utils import errors, label_map

_log = logging.getLogger(__name__)

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
  override_export_dir: bool = False,
  export_format: Union[str, Sequence[str]] = 'saved_model',
  check: bool = True,
  **further_options: Any,
) -> contract.Contract:
  """Writes a trained model in one or several formats.

  Args:
    export_dir: directory to write; it appears when it is whole.
    checkpoint_path: prefix of a checkpoint's files, or a directory with one.
    model: name of the model; by default the config's `type`.
    config_file: parameters; by default `params.yaml` beside the checkpoint.
    params_override: parameters that go before those of the file.
    batch_size: images at once; None or -1 for any number, with NMS `batched`
      unless `params_override` names a version.
    override_export_dir: replace `export_dir` if it holds an export.
    export_format: names of formats, in a sequence or separated by commas.
    check: compare each format with the checkpoint, and fail if they differ.
    use_tpu, image_size, **further_options: of `export_options.ExportOptions`.

  Returns:
    What was written, as in `assets.extra/contract.json`.

  Raises:
    UserError: `export_dir` exists, an argument, a parameter or the checkpoint
      cannot be used, or a check failed.
  """
  chosen = {n: formats.FORMATS.get(n) for n in _names(export_format)}
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
    further_options.update(use_tpu=use_tpu, batch_size=batch_size)
    export_request = _request(resolved, checkpoint, image_size, further_options)
    export_request.check(chosen, is_compared=check)
    written = _write(export_request, chosen, directory)
    if check:
      # Other runtimes take seconds to import.
      from serving.export import check as check_lib

      check_lib.check(export_request, directory, written)
  _log_export(export_dir, written)
  return written


def _request(
  resolved: resolver.Resolved,
  checkpoint: str,
  image_size: Optional[Sequence[int]],
  given: Dict[str, Any],
) -> request.ExportRequest:
  options = export_options.ExportOptions(
    **dict(
      given,
      batch_size=None if given['batch_size'] == -1 else given['batch_size'],
      image_size=_image_size(resolved.params, image_size),
    )
  )
  params = _export_params(resolved, options)
  return request.ExportRequest(params, checkpoint, options)


def _log_export(export_dir: str, written: contract.Contract) -> None:
  _log.info(
    'Exported to %s: %s, step %s, images of %d x %d pixels (height x width).',
    export_dir,
    written.checkpoint,
    'unknown' if written.step is None else written.step,
    *written.image_size,
  )


def _write(
  export_request: request.ExportRequest,
  chosen: Dict[str, formats.Format],
  directory: str,
) -> contract.Contract:
  for chosen_format in chosen.values():
    if chosen_format.check:
      chosen_format.check(export_request)
  artefacts = []
  for name, chosen_format in chosen.items():
    _log.info('Writing %s.', name)
    artefacts += chosen_format.write(export_request, directory)
  written = contract.of_export(export_request, artefacts)
  _write_assets(export_request.params, written, directory)
  return written


def _image_size(params: Any, given: Optional[Sequence[int]]) -> Tuple[int, int]:
  """(height, width) to export; warns of one that was not trained for."""
  trained = factory.parser_settings(params).output_size
  size = trained if given is None else given
  if tuple(size) != tuple(trained):
    _log.warning(
      'input_image_size: %d,%d is not the size of %s.output_size, %d,%d, at '
      'which the model was trained and evaluated; it will detect worse.',
      *size,
      params.architecture.parser,
      *trained,
    )
  return size[0], size[1]


def _export_params(
  resolved: resolver.Resolved, options: export_options.ExportOptions
) -> Any:
  """Parameters with the NMS of an export that takes any number of images.

  The original has `batched` NMS there, whose classes are floats, and clients
  count on it; an override of this very export may ask for another.
  """
  key = 'postprocess.nms_version'
  old = dict(resolved.params.leaves()).get(key)
  is_kept = old in (None, 'batched') or resolved.sources[key] == 'override'
  if is_kept or options.batch_size is not None:
    return resolved.params
  _log.info(
    'Any number of images: postprocess.nms_version is batched rather than %s, '
    'which may make classes float32. '
    '--params_override=postprocess.nms_version=%s keeps it.',
    old,
    old,
  )
  return params_dict.with_overrides(resolved.params, {key: 'batched'})


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
