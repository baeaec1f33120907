"""What a TPU's estimator is told, and where a TPU's run evaluates."""

import json

import pytest
import tensorflow.compat.v1 as tf

from configs import resolver as resolver_lib
from executor import estimator_factory, hardware, run_check
from executor import runner as runner_lib
from executor.tpu import cloud_tpu
from tests import golden_numbers, tiny_run
from utils import errors

_ADDRESSES = 'grpc://10.0.0.1:8470,grpc://10.0.0.2:8470'


def _resolver(addresses=_ADDRESSES):
  return tf.distribute.cluster_resolver.TPUClusterResolver(addresses)


def _params(override=None, **platform):
  return golden_numbers.make_params(
    {
      'model_dir': '/nowhere',
      **(override or {}),
      'use_tpu': True,
      'platform': platform,
    }
  )


def _estimator(params, num_replicas, is_training=True):
  found = hardware.Hardware(hardware.TPU, num_replicas, 'any', _resolver())
  return estimator_factory.make_estimator(
    params,
    lambda features, labels, mode, params: None,
    found,
    is_training=is_training,
  )


def test_configuration_of_a_partitioned_training(tmp_path):
  params = _params(
    {
      'model_dir': str(tmp_path),
      'isolate_session_state': True,
      'tpu_job_name': 'some_job',
      'train': {
        'train_batch_size': 64,
        'iterations_per_loop': 7,
        'num_cores_per_replica': 8,
        'input_partition_dims': [[1, 4, 2, 1], 'None'],
        'transpose_input': True,
        'save_checkpoint_seconds': 0,
        'keep_checkpoints': 3,
        'seed': 5,
      },
      'eval': {'eval_batch_size': 16},
    }
  )
  estimator = _estimator(params, 8)
  config = estimator.config
  tpu = config.tpu_config
  assert tpu.iterations_per_loop == 7
  assert tpu.num_cores_per_replica == 8
  assert tpu.input_partition_dims == [[4, 2, 1, 1], None]
  assert tpu.tpu_job_name == 'some_job'
  assert (
    tpu.per_host_input_for_training
    is tf.estimator.tpu.InputPipelineConfig.PER_HOST_V2
  )
  # A line after each loop.
  assert estimator._log_every_n_steps == 1
  assert config.keep_checkpoint_max == 3
  assert config.tf_random_seed == 5
  # 0 is after each loop, not never.
  assert 0 < config.save_checkpoints_secs < 1
  assert config.session_config.isolate_session_state
  assert config.session_config.allow_soft_placement
  assert estimator.model_dir == str(tmp_path)
  # A pod: the session is with the first worker and knows all of them.
  assert config.master == config.evaluation_master == 'grpc://10.0.0.1:8470'
  (job,) = config.session_config.cluster_def.job
  assert job.name == 'worker'
  assert dict(job.tasks) == {0: '10.0.0.1:8470', 1: '10.0.0.2:8470'}
  sizes = estimator._ctx
  assert sizes._train_batch_size == 64
  assert sizes._eval_batch_size == sizes._predict_batch_size == 16


def test_evaluation_is_not_partitioned():
  params = _params(
    {
      'train': {
        'num_cores_per_replica': 8,
        'input_partition_dims': [[1, 4, 2, 1]],
      },
      'eval': {'eval_batch_size': 16},
    }
  )
  tpu = _estimator(params, 8, is_training=False).config.tpu_config
  assert tpu.num_cores_per_replica is None
  assert tpu.input_partition_dims is None


def test_replicas_are_groups_of_cores(monkeypatch):
  monkeypatch.setattr(
    cloud_tpu, 'connect', lambda platform, awaits_new_tpu: _resolver()
  )
  train = {'num_shards': 32, 'num_cores_per_replica': 8}
  found = hardware.detect(_params({'train': train}))
  assert (found.kind, found.num_replicas) == (hardware.TPU, 4)
  assert '32 cores' in found.description
  # A batch of 4 is one image for each.
  params = _params(
    {
      'train': {
        **train,
        'train_batch_size': 4,
        'input_partition_dims': [[1, 4, 2, 1], 'None'],
      }
    }
  )
  _estimator(params, found.num_replicas)


def test_tpu_is_called_by_the_name_that_it_has(monkeypatch):
  monkeypatch.delenv('KUBE_GOOGLE_CLOUD_TPU_ENDPOINTS', raising=False)
  monkeypatch.setenv('TPU_NAME', 'its-tpu')
  for name, want in ((None, 'its-tpu'), ('my-tpu', 'my-tpu')):
    found = hardware.tpu(_params(tpu=name), is_training=True)
    assert found.description == f'TPU {want} (8 cores)'


def _training_hardware(num_replicas=8):
  return hardware.Hardware(hardware.TPU, num_replicas, 'a TPU', _resolver())


def test_evaluates_on_the_tpu_that_trains():
  found = hardware.for_evaluation(_params(), _training_hardware(1))
  assert found.resolver.master() == 'grpc://10.0.0.1:8470'
  # It is not partitioned.
  assert (found.kind, found.num_replicas) == (hardware.TPU, 8)


def test_evaluates_on_another_tpu():
  server = tf.train.Server.create_local_server()
  found = hardware.for_evaluation(
    _params({'train': {'num_shards': 32}}, eval_master=server.target),
    _training_hardware(32),
  )
  assert found.resolver.master() == server.target
  assert (found.kind, found.num_replicas) == (hardware.TPU, 8)
  assert server.target in found.description


def test_a_run_that_only_evaluates_leaves_the_training_tpu_alone(monkeypatch):
  def connect(platform, awaits_new_tpu):
    del awaits_new_tpu
    return _resolver(platform.tpu)

  monkeypatch.setattr(cloud_tpu, 'connect', connect)
  server = tf.train.Server.create_local_server()
  for master, want in ((None, 'grpc://1.2.3.4:8470'), (server.target,) * 2):
    params = _params(tpu='grpc://1.2.3.4:8470', eval_master=master)
    found = hardware.detect_for_evaluation(params)
    assert found.resolver.master() == want
  params = _params(eval_master='local')
  assert hardware.detect_for_evaluation(params).kind == hardware.CPU


def test_pod_evaluates_elsewhere_or_not_at_all():
  with pytest.raises(errors.ConfigError, match='platform.eval_master') as info:
    run_check.check_evaluation_place(_params({'train': {'num_shards': 32}}))
  for words in ('32 cores', "'local'", '--eval_master', '--mode=eval'):
    assert words in str(info.value)


def test_name_is_no_address_for_evaluation():
  with pytest.raises(errors.ConfigError, match="'my-tpu' is neither") as info:
    run_check.check_evaluation_place(_params(eval_master='my-tpu'))
  assert "'local'" in str(info.value)


@pytest.mark.slow
def test_a_pods_checkpoint_is_evaluated_on_the_host(tmp_path, monkeypatch):
  trained = tiny_run.train(tmp_path, {'train': {'total_steps': 1}})
  params = resolver_lib.resolve(
    params_override=json.dumps(
      tiny_run.overrides(
        trained.records,
        {'train': {'total_steps': 1, 'train_batch_size': 32, 'num_shards': 32}},
      )
    ),
    flags={
      'model_dir': trained.model_dir,
      'use_tpu': True,
      'eval_master': 'local',
    },
  ).params
  assert params.architecture.use_bfloat16

  def connect(platform, awaits_new_tpu):
    raise AssertionError('Another program may train there.')

  monkeypatch.setattr(cloud_tpu, 'connect', connect)
  metrics = runner_lib.Runner(params, trains=False).evaluate()
  assert metrics['AP'] >= 0
  assert metrics['model_loss'] > 0
