"""Flags that set parameters of a run."""

from typing import Any, Dict

from absl import flags

from configs import resolver

flags.DEFINE_bool('use_tpu', None, 'Train on a TPU.')
flags.DEFINE_string('tpu', None, 'TPU name or grpc:// address.')
flags.DEFINE_integer('num_cores', None, 'Number of TPU cores; 8 by default.')
flags.DEFINE_string('gcp_project', None, "The TPU's project.")
flags.DEFINE_string('tpu_zone', None, "The TPU's zone.")
flags.DEFINE_string(
  'eval_master', None, 'Address of another TPU, or local: where to evaluate.'
)
flags.DEFINE_bool(
  'configure_tpu_version', None, "Set the TPU's TensorFlow version to 1.15."
)
flags.DEFINE_string('tpu_job_name', None, "Name of the TPU worker's job.")
flags.DEFINE_string(
  'data_dir', None, 'Directory that relative data paths start from.'
)
flags.DEFINE_enum(
  'precision', None, ['float32', 'bfloat16'], 'architecture.use_bfloat16.'
)
flags.DEFINE_integer('train_batch_size', None, 'train.train_batch_size.')
flags.DEFINE_bool('scale_learning_rate', None, 'Fit rates, steps to the batch.')
flags.DEFINE_integer('train_steps', None, 'train.total_steps.')
flags.DEFINE_integer('eval_batch_size', None, 'eval.eval_batch_size.')
flags.DEFINE_integer('iterations_per_loop', None, 'train.iterations_per_loop.')
flags.DEFINE_bool('skip_host_call', None, 'Write no training summaries.')


def given() -> Dict[str, Any]:
  """Values of `resolver.FLAGS`; None where a flag is not given."""
  return {name: flags.FLAGS[name].value for name in resolver.FLAGS}
