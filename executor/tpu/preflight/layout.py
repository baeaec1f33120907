"""Division of cores, batches and images on a TPU."""

from typing import Any, List, NamedTuple, Tuple

from configs import factory as config_factory
from configs import params_dict
from executor import global_batch, partitioning, run_check
from executor import hardware as hardware_lib
from modeling import factory
from ops import preprocess_ops
from utils import errors


class Layout(NamedTuple):
  """What runs where.

  Attributes:
    num_replicas: copies of the model.
    rows: (what, value) for a person.
    problems: one message each.
  """

  num_replicas: int
  rows: List[Tuple[str, str]]
  problems: List[str]


def check_layout(params: Any, evaluates: bool = True) -> Layout:
  """Divides cores, batches and images as `TPUEstimator` would.

  Args:
    params: the whole config.
    evaluates: whether evaluation is to be looked at.

  Returns:
    The `Layout`; nothing is raised.
  """
  num_cores = params.train.num_shards
  num_replicas = hardware_lib.num_training_replicas(params)
  text = (
    f'{num_replicas} ({num_cores} cores, {num_cores // num_replicas} for '
    'each replica)'
  )
  problems, rows = [], [('replicas', text)]
  for is_training in (True, False):
    if is_training or (evaluates and hardware_lib.evaluates_on_tpu(params)):
      hardware = hardware_lib.tpu(params, is_training)
      batch = global_batch.batch_of(params, hardware, is_training)
      rows.append((batch.key, str(batch)))
      problems += run_check.hardware_problems(params, hardware, is_training)
  try:
    image_size = preprocess_ops.padded_size(
      config_factory.parser_settings(params).output_size,
      factory.model_generator(params).stride,
    )
    rows.append(
      ('padded image', '{} x {} pixels (height x width)'.format(*image_size))
    )
    parts = partitioning.image_parts(params)
    if parts:
      rows.append(('parts of an image', ' x '.join(map(str, parts))))
      problems += partitioning.uneven_parts(params, image_size, num_replicas)
  except errors.ConfigError as error:
    problems.append(str(error))
  return Layout(num_replicas, rows, problems)


def with_batches_that_divide(params: Any) -> Any:
  """Params that can be built: batches that do not divide are made smaller."""
  found = [
    global_batch.batch_of(
      params, hardware_lib.tpu(params, is_training), is_training
    )
    for is_training in (True, False)
  ]
  return params_dict.with_overrides(
    params, {batch.key: batch.size_that_divides for batch in found}
  )
