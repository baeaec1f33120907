"""Turns published weights of a backbone into a checkpoint to start from.

  python tools/import_weights.py resnet50.pth --backbone=resnet --depth=50 \\
    --output=resnet50
  python tools/import_weights.py efficientnet-b0/ \\
    --backbone=efficientnet-b0 --output=b0

SOURCE is a .safetensors file or a PyTorch state dict of a ResNet of torchvision
or timm, or a TF1 checkpoint of the official ResNet or of EfficientNet's TPU
release. docs/pretrained.md lists what fits. PyTorch is not needed, and no code
in a file is run.
"""

import os
from typing import Any, Dict, List

from absl import flags

from utils import errors, program

FLAGS = flags.FLAGS
flags.DEFINE_string('backbone', None, 'As architecture.backbone.')
flags.DEFINE_integer('depth', None, 'Of a ResNet, as resnet.resnet_depth.')
flags.DEFINE_string('output', None, 'Directory to write; must not exist yet.')
flags.DEFINE_string(
  'model', None, 'Model that will start from it, whose batch norm decides.'
)
flags.DEFINE_string('config_file', None, "That model's parameters.")
flags.mark_flags_as_required(['backbone', 'output'])

_RESNET = 'resnet'
_SAFETENSORS = '.safetensors'
_PACKED = ('.gz', '.tgz', '.zip')
_PYTORCH = ('.pth', '.pt', '.bin', '.tar', _SAFETENSORS)


def _params() -> Any:
  from configs import params_dict, resolver

  if (FLAGS.backbone == _RESNET) != (FLAGS.depth is not None):
    raise errors.ConfigError(
      f'--depth={FLAGS.depth} with --backbone={FLAGS.backbone}: a ResNet has '
      'to have one, such as 50, and no other backbone has.'
    )
  resolved = resolver.resolve(model=FLAGS.model, config_file=FLAGS.config_file)
  changes = {'architecture.backbone': FLAGS.backbone}
  if FLAGS.depth:
    changes['resnet.resnet_depth'] = FLAGS.depth
  return params_dict.with_overrides(resolved.params, changes)


def _read(source: str, network: Any) -> Dict[str, Any]:
  """Returns the values of the backbone's variables, by name."""
  from tools.weight_sources import (
    pytorch_file,
    resnet_names,
    safetensors_file,
    tf_checkpoint,
  )

  shapes = {v.op.name: v.shape.as_list() for v in network.variables}
  if source.endswith(_PACKED):
    raise errors.ConfigError(
      f"'{source}' is packed. Unpack it, and give the folder of the checkpoint "
      'in it.'
    )
  if not source.endswith(_PYTORCH):
    return tf_checkpoint.read(source, network.scope, shapes)
  if not os.path.isfile(source):
    raise errors.ConfigError(f"There is no file '{source}'.")
  if FLAGS.backbone != _RESNET:
    raise errors.ConfigError(
      f"'{source}': of --backbone={FLAGS.backbone} only checkpoints of TF1 are "
      'read.'
    )
  is_safe = source.endswith(_SAFETENSORS)
  tensors = (safetensors_file if is_safe else pytorch_file).read(source)
  return resnet_names.to_variables(
    tensors, FLAGS.depth, network.scope, shapes, source
  )


def _next_override() -> str:
  parts = {
    'train.checkpoint.path': FLAGS.output,
    'architecture.backbone': FLAGS.backbone,
    'resnet.resnet_depth': FLAGS.depth,
  }
  return ','.join(f'{key}={value}' for key, value in parts.items() if value)


def _check_finite(values: Dict[str, Any], source: str) -> None:
  import numpy as np

  for name, value in values.items():
    if not np.isfinite(value).all():
      raise errors.DataError(
        f"'{source}': {name} has values that are not finite. Fetch it anew, or "
        'take weights of before the training diverged.'
      )


def main(argv: List[str]) -> None:
  if len(argv) != 2:
    raise errors.ConfigError(
      'Give one source: python tools/import_weights.py SOURCE ...; there are '
      f'{len(argv) - 1}.'
    )
  # Imports TensorFlow, which is quiet only if logging is set up before.
  program.quieten_tensorflow()
  from modeling.training import warm_start
  from tools.weight_sources import (
    backbone_graph,
    batch_norm_epsilon,
    resnet_names,
    written_checkpoint,
  )

  written_checkpoint.check_absent(FLAGS.output)
  params = _params()
  network = backbone_graph.build(params)
  values = _read(argv[1], network)
  _check_finite(values, argv[1])
  if FLAGS.backbone == _RESNET:
    there, here = (
      resnet_names.EPSILON,
      params.batch_norm_activation.batch_norm_epsilon,
    )
    values = batch_norm_epsilon.folded(values, there, here)
    print(f'Batch norm: epsilon {there:g} there, {here:g} here; gamma differs.')
  prefix = written_checkpoint.write(values, FLAGS.output)
  print(warm_start.match_variables(prefix, network.variables))
  print(
    'Images: RGB, normalised by the mean and deviation of ImageNet, as here.\n'
    f'Next: --params_override={_next_override()}'
  )


if __name__ == '__main__':
  program.run(main, takes_arguments=True)
