"""The hardware of a run, and batch sizes that fit it."""

import pytest

from executor import estimator_factory, hardware, plan
from tests import golden_numbers
from utils import errors


class _FakeTpuApi:
  """The part of the Cloud TPU API that tells a TPU's health."""

  def __init__(self, node):
    self._node = node

  def projects(self):
    return self

  def locations(self):
    return self

  def nodes(self):
    return self

  def get(self, name):
    self.asked_for = name
    return self

  def execute(self):
    return self._node


def test_cpu_without_tpu_and_gpu():
  found = hardware.detect(golden_numbers.make_params())
  assert (found.kind, found.num_replicas) == (hardware.CPU, 1)


def test_healthy_tpu_is_not_waited_for():
  api = _FakeTpuApi({'state': 'READY', 'health': 'HEALTHY'})
  hardware.wait_until_healthy('mine', 'zone-a', 'project-b', service=api)
  assert api.asked_for == 'projects/project-b/locations/zone-a/nodes/mine'


def test_grpc_address_needs_no_api():
  hardware.wait_until_healthy('grpc://10.0.0.1:8470', None, None)


def test_tpu_without_name_is_explained(monkeypatch):
  for variable in ('TPU_NAME', 'KUBE_GOOGLE_CLOUD_TPU_ENDPOINTS'):
    monkeypatch.delenv(variable, raising=False)
  with pytest.raises(errors.UserError, match='--tpu'):
    hardware.wait_until_healthy(None, 'zone-a', 'project-b')


def test_batch_has_to_divide_by_the_replicas():
  params = golden_numbers.make_params({'train': {'train_batch_size': 12}})
  eight = hardware.Hardware(hardware.GPU, 8, '8 GPUs')
  with pytest.raises(errors.ConfigError, match='train.train_batch_size: 12'):
    estimator_factory.make_estimator(params, None, eight, 8, is_training=True)


@pytest.mark.parametrize('kind', [hardware.CPU, hardware.GPU, hardware.TPU])
@pytest.mark.parametrize('is_training', [True, False])
def test_graphs_are_rewritten_where_it_pays(kind, is_training):
  config = estimator_factory.session_config(
    golden_numbers.make_params({}),
    hardware.Hardware(kind, 1, 'any'),
    is_training,
  )
  rewrite_options = config.graph_options.rewrite_options
  assert rewrite_options.disable_meta_optimizer == (
    kind == hardware.CPU and is_training
  )


def test_batches_are_global_under_a_strategy():
  sizes = []
  input_fn = estimator_factory.GlobalBatchInputFn(
    lambda params: sizes.append(params['batch_size']), 16
  )

  class _Context:
    def get_per_replica_batch_size(self, global_batch_size):
      return global_batch_size // 4

  input_fn({}, input_context=_Context())
  input_fn({})
  # A TPUEstimator names the size itself.
  input_fn({'batch_size': 5})
  assert sizes == [4, 16, 5]


@pytest.mark.parametrize('transpose', [True, False])
def test_input_partition_dims(transpose):
  params = golden_numbers.make_params(
    {
      'train': {
        'input_partition_dims': [[1, 4, 2, 1], 'None'],
        'transpose_input': transpose,
      }
    }
  )
  first = [4, 2, 1, 1] if transpose else [1, 4, 2, 1]
  got = estimator_factory._input_partition_dims(params)
  assert got == [first, None]


def test_plan_names_what_matters():
  params = golden_numbers.make_params(
    {
      'model_dir': '/somewhere',
      'train': {'train_batch_size': 16, 'total_steps': 77},
      'batch_norm_activation': {'use_sync_bn': True},
    }
  )
  eight = hardware.Hardware(hardware.GPU, 8, '8 GPUs')
  table = plan.plan_table(params, eight, 'train')
  rows = dict(zip(*[list(c.cells) for c in table.columns]))
  assert rows['devices'] == '8 GPUs'
  assert '16 images over all replicas, 2 on each of 8' in rows['training batch']
  assert 'synchronised' in rows['batch norm']
  assert rows['steps'].startswith('77 in all')
  assert rows['precision'] == 'float32'
  assert '/somewhere' in rows['checkpoints']
