"""What of the scaling model's inputs can be measured on any machine."""

import time
from typing import Any, Dict, NamedTuple, Sequence

import tensorflow.compat.v1 as tf

from configs import params_dict, presets, resolver
from dataloader import input_reader
from modeling import factory as model_factory
from modeling import model_stats
from tools.scaling_model import inputs
from utils import mode_keys

# What the host does and sends: for a TPU, for GPUs, and with other keys.
_NOT_TRANSPOSED = {'train': {'transpose_input': False}}
_FLOAT32 = {'architecture': {'use_bfloat16': False}}
VARIANTS: Dict[str, Dict[str, Any]] = {
  inputs.ON_TPU: {},
  inputs.ON_GPU: {**_NOT_TRANSPOSED, **_FLOAT32},
  'retinanet_parser.aug_policy: v0': {'retinanet_parser': {'aug_policy': 'v0'}},
  'train.transpose_input: false': _NOT_TRANSPOSED,
  'architecture.use_bfloat16: false': _FLOAT32,
}
# So many batches are ready when the clock starts.
_WARM_UP_BATCHES = 4


class HostSpeed(NamedTuple):
  """Speed of an input pipeline.

  Attributes:
    cpu_ms_per_image: processor time of all threads.
    images_per_second: with all cores of this machine.
  """

  cpu_ms_per_image: float
  images_per_second: float


def measure_network(
  preset_name: str,
  file_pattern: str,
  batch_size: int = 8,
  num_images: int = 160,
  rounds: int = 5,
  variants: Sequence[str] = tuple(VARIANTS),
) -> Dict[str, Any]:
  """Measures one preset in training.

  Args:
    preset_name: of `configs.presets`.
    file_pattern: glob of TFRecords to read.
    batch_size: images of a batch of the pipeline.
    num_images: of a measurement, in whole batches.
    rounds: measurements, of which the best counts.
    variants: names in `VARIANTS`.

  Returns:
    preset; parameters (trained); multiply_adds (of one image, forward);
    synced_layers, the batch norms that share moments over the cores; and
    for each variant infeed_bytes (of one image), cpu_ms_per_image and
    images_per_second.
  """
  (preset,) = presets.find_presets([preset_name])
  params = resolver.resolve(
    config_file=preset.path, flags={'use_tpu': True}
  ).params
  measured = {'preset': preset_name, **_network_size(params)}
  measured['variants'] = {}
  for name in variants:
    changed = params_dict.ParamsDict(params.as_dict())
    changed.override(VARIANTS[name])
    speed = host_speed(changed, file_pattern, batch_size, num_images, rounds)
    measured['variants'][name] = {
      'infeed_bytes': infeed_bytes(changed, file_pattern),
      **{key: round(value, 2) for key, value in speed._asdict().items()},
    }
  return measured


def _network_size(params: Any) -> Dict[str, Any]:
  height, width = params.retinanet_parser.output_size
  # Not for a TPU: its ops on moments and casts are no multiply-adds.
  on_cpu = resolver.without_tpu(params)
  with tf.Graph().as_default():
    model_factory.model_generator(on_cpu).build_outputs(
      tf.zeros([1, height, width, 3]), {}, mode_keys.TRAIN
    )
    is_synced = params.batch_norm_activation.use_sync_bn
    return {
      'image': '{}x{}'.format(height, width),
      'parameters': model_stats.count_parameters(),
      'multiply_adds': model_stats.count_multiply_adds(1),
      'synced_layers': sum(
        is_synced and variable.op.name.endswith('/gamma')
        for variable in tf.trainable_variables()
      ),
    }


def infeed_bytes(params: Any, file_pattern: str) -> int:
  """Bytes of one image and its labels as they leave the input pipeline."""
  with tf.Graph().as_default():
    dataset = _dataset(params, file_pattern, batch_size=1)
    types = tf.nest.flatten(tf.data.get_output_types(dataset))
    shapes = tf.nest.flatten(tf.data.get_output_shapes(dataset))
    return sum(
      dtype.size * shape.num_elements() for dtype, shape in zip(types, shapes)
    )


def host_speed(
  params: Any,
  file_pattern: str,
  batch_size: int,
  num_images: int,
  rounds: int,
) -> HostSpeed:
  """Times the input pipeline; the best round counts."""
  with tf.Graph().as_default():
    dataset = _dataset(params, file_pattern, batch_size)
    iterator = tf.data.make_initializable_iterator(dataset)
    fetches = [tensor.op for tensor in tf.nest.flatten(iterator.get_next())]
    results = []
    num_batches = -(-num_images // batch_size)
    with tf.Session() as session:
      session.run(iterator.initializer)
      for _ in range(rounds):
        for _ in range(_WARM_UP_BATCHES):
          session.run(fetches)
        start, start_cpu = time.perf_counter(), time.process_time()
        for _ in range(num_batches):
          session.run(fetches)
        cpu_ms = (time.process_time() - start_cpu) * 1e3
        seconds = time.perf_counter() - start
        count = num_batches * batch_size
        results.append(HostSpeed(cpu_ms / count, count / seconds))
  return HostSpeed(
    min(result.cpu_ms_per_image for result in results),
    max(result.images_per_second for result in results),
  )


def _dataset(
  params: Any, file_pattern: str, batch_size: int
) -> tf.data.Dataset:
  input_fn = input_reader.InputFn(file_pattern, params, mode_keys.TRAIN)
  return input_fn({'batch_size': batch_size})
