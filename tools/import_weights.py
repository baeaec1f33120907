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
_PYTORCH = ('.pth', '.pt', '.bin', '.tar')
_SAFETENSORS = '.safetensors'
_KERAS = ('.h5', '.hdf5', '.keras')


def _ending(source: str) -> str:
  return os.path.splitext(source)[1].lower()


def _is_of_pytorch(source: str) -> bool:
  return _ending(source) in (*_PYTORCH, _SAFETENSORS)


def _params() -> Any:
  from configs import params_dict, resolver

  if (FLAGS.backbone == _RESNET) != (FLAGS.depth is not None):
    raise errors.ConfigError(
      f'--depth={FLAGS.depth} with --backbone={FLAGS.backbone}: a ResNet has '
      'to have one, such as 50, and no other backbone has.'
    )
  params = resolver.resolve(
    model=FLAGS.model, config_file=FLAGS.config_file
  ).params
  return params_dict.with_overrides(
    params,
    {
      'architecture.backbone': FLAGS.backbone,
      'resnet.resnet_depth': FLAGS.depth or params.resnet.resnet_depth,
    },
  )


def _read(source: str, network: Any) -> Dict[str, Any]:
  """Returns the values of the backbone's variables, by name."""
  from tools.weight_sources import (
    pytorch_file,
    resnet_names,
    safetensors_file,
    tf_checkpoint,
  )

  shapes = {v.op.name: v.shape.as_list() for v in network.variables}
  if _ending(source) in _KERAS:
    raise errors.DataError(
      f"'{source}' is of Keras, whose ResNet50 strides in the first 1x1 "
      'convolution of a group, this one in the 3x3. Take one of torchvision '
      'or timm, or an official ResNet of TF1.'
    )
  if not _is_of_pytorch(source):
    return tf_checkpoint.read(source, network.scope, shapes)
  if not os.path.isfile(source):
    raise errors.ConfigError(f"There is no file '{source}'.")
  if FLAGS.backbone != _RESNET:
    raise errors.ConfigError(
      f"'{source}': --backbone={FLAGS.backbone} is read from checkpoints of "
      'TF1 only.'
    )
  is_safe = _ending(source) == _SAFETENSORS
  reader = safetensors_file if is_safe else pytorch_file
  return resnet_names.to_variables(
    reader.read(source), FLAGS.depth, network.scope, shapes, source
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
    pooling_shift,
    resnet_names,
    written_checkpoint,
  )

  params = _params()
  network = backbone_graph.build(params)
  values = _read(argv[1], network)
  is_resnet = FLAGS.backbone == _RESNET
  if is_resnet:
    epsilon = params.batch_norm_activation.batch_norm_epsilon
    values = batch_norm_epsilon.folded(values, resnet_names.EPSILON, epsilon)
  prefix = written_checkpoint.write(values, FLAGS.output)
  print(warm_start.match_variables(prefix, network.variables))
  if is_resnet:
    print(
      f'Batch norm: epsilon {resnet_names.EPSILON:g} there and {epsilon:g} '
      f'here ({params.type}), the difference is in gamma.'
    )
  if _is_of_pytorch(argv[1]):
    print(pooling_shift.as_table(pooling_shift.measure(network, prefix)))
  print(
    'Input: RGB in [0, 1], less the mean of ImageNet and divided by its '
    f'deviation, as here.\nNext: train.checkpoint: {{path: {FLAGS.output}, '
    "prefix: ''}"
  )


if __name__ == '__main__':
  program.run(main, takes_arguments=True)
