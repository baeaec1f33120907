"""The hardware of a run, and batch sizes that fit it."""

import json

import pytest
import tensorflow.compat.v1 as tf

from executor import estimator_factory, hardware, plan, run_check, run_start
from tests import golden_numbers
from utils import errors


def test_cpu_without_tpu_and_gpu():
  found = hardware.detect(golden_numbers.make_params())
  assert (found.kind, found.num_replicas) == (hardware.CPU, 1)


def _set_task(monkeypatch, job, index=0):
  """TF_CONFIG of three workers, of which this process is one, or no one."""
  workers = ['a:1', 'b:1', 'c:1']
  task = {'type': job, 'index': index}
  config = {'cluster': {'worker': workers}, 'task': task}
  monkeypatch.setenv('TF_CONFIG', json.dumps(config))


def test_workers_are_as_many_replicas(monkeypatch):
  _set_task(monkeypatch, 'worker', 1)
  params = golden_numbers.make_params()
  found = hardware.detect(params)
  assert (found.kind, found.num_replicas) == (hardware.CPU, 3)
  assert found.description == '3 workers of CPU each, here worker 1 (b:1)'
  assert found.cluster.index == 1
  assert not found.writes
  monkeypatch.setattr(
    tf.config.experimental, 'list_physical_devices', lambda kind: [kind] * 2
  )
  found = hardware.detect(params)
  assert (found.kind, found.num_replicas) == (hardware.GPU, 6)
  assert '3 workers of 2 GPUs each' in found.description
  # One device of the first worker evaluates.
  found = hardware.for_evaluation(params, found)
  assert (found.kind, found.num_replicas) == (hardware.GPU, 1)
  assert found.cluster is None
  assert found.description == 'one GPU'


def test_the_chief_writes(monkeypatch):
  _set_task(monkeypatch, 'worker', 0)
  assert hardware.detect(golden_numbers.make_params()).writes


def test_an_evaluator_has_one_device_and_writes_no_checkpoints(monkeypatch):
  monkeypatch.setattr(
    tf.config.experimental, 'list_physical_devices', lambda kind: [kind] * 2
  )
  _set_task(monkeypatch, 'evaluator')
  found = hardware.detect(golden_numbers.make_params())
  assert (found.kind, found.num_replicas) == (hardware.GPU, 1)
  assert not found.cluster.is_worker
  assert not found.writes


@pytest.mark.parametrize('job', ['worker', 'evaluator'])
def test_workers_have_no_tpu(monkeypatch, job):
  _set_task(monkeypatch, job)
  params = golden_numbers.make_params({'use_tpu': True})
  with pytest.raises(errors.ConfigError) as info:
    hardware.detect(params)
  message = str(info.value)
  assert message.startswith('use_tpu: true, but TF_CONFIG lists 3 workers.')
  assert 'unset TF_CONFIG' in message


def test_workers_do_not_recover_from_blow_ups(monkeypatch):
  _set_task(monkeypatch, 'worker')
  params = golden_numbers.make_params({'train': {'recover_from_blow_ups': 2}})
  found = hardware.detect(params)
  with pytest.raises(errors.ConfigError, match='blow_ups: 2 .* several worker'):
    run_check.check_hardware(params, found, is_training=True)
  run_check.check_hardware(params, found, is_training=False)


@pytest.mark.parametrize(
  'kind,is_training,refused',
  [
    (hardware.GPU, True, 'train.train_batch_size: 12'),
    (hardware.TPU, True, 'train.train_batch_size: 12'),
    (hardware.TPU, False, 'eval.eval_batch_size: 12'),
  ],
)
def test_batch_has_to_divide_by_the_replicas(kind, is_training, refused):
  key = 'train' if is_training else 'eval'
  params = golden_numbers.make_params({key: {key + '_batch_size': 12}})
  eight = hardware.Hardware(kind, 8, 'eight')
  with pytest.raises(errors.ConfigError, match=refused):
    run_check.check_hardware(params, eight, is_training)
  run_check.check_hardware(params, eight, not is_training)


def test_one_device_evaluates_any_batch_under_a_strategy(tmp_path):
  params = golden_numbers.make_params(
    {'model_dir': str(tmp_path), 'eval': {'eval_batch_size': 3}}
  )
  eight = hardware.Hardware(hardware.GPU, 8, '8 GPUs')
  run_check.check_hardware(params, eight, is_training=False)
  estimator = estimator_factory.make_estimator(
    params, lambda features, params: None, eight, is_training=True
  )
  assert estimator.config.train_distribute is not None
  assert estimator.config.eval_distribute is None


@pytest.mark.parametrize('kind', [hardware.CPU, hardware.GPU, hardware.TPU])
@pytest.mark.parametrize('is_training', [True, False])
def test_graphs_are_rewritten_where_it_pays(kind, is_training):
  config = estimator_factory.session_config(
    golden_numbers.make_params({}),
    hardware.Hardware(kind, 1, 'any'),
    is_training,
  )
  options = config.graph_options
  trains_on_cpu = kind == hardware.CPU and is_training
  assert options.rewrite_options.disable_meta_optimizer == trains_on_cpu
  level = options.optimizer_options.opt_level
  assert (level == tf.OptimizerOptions.L0) == trains_on_cpu


class _TpuContext:
  """What a `TPUEstimator` tells the input function of one host."""

  def __init__(self, *deployment):
    self._deployment = deployment

  def current_input_fn_deployment(self):
    return self._deployment


def test_batches_are_global_and_every_reader_has_its_part():
  asked = []
  input_fn = estimator_factory.GlobalBatchInputFn(asked.append, 16)
  input_fn({}, tf.distribute.InputContext(2, 1, num_replicas_in_sync=4))
  input_fn({}, tf.distribute.InputContext(1, 0, num_replicas_in_sync=4))
  input_fn({})
  assert asked == [
    {'batch_size': 4, 'part': (1, 2), 'step_size': 8},
    {'batch_size': 4, 'part': (0, 1), 'step_size': 16},
    {'batch_size': 16, 'part': (0, 1), 'step_size': 16},
  ]


@pytest.mark.parametrize(
  # Where a replica has the cores of two hosts, only some of them read.
  'hosts,num_replicas',
  [((0, 1, 2, 3), 8), ((0,), 8), ((0, 2), 1)],
)
def test_hosts_of_a_pod_read_different_parts(hosts, num_replicas):
  asked = []
  input_fn = estimator_factory.GlobalBatchInputFn(asked.append, 16)
  for host in hosts:
    context = _TpuContext('/task', host, len(hosts), num_replicas)
    # A TPUEstimator names the size itself.
    input_fn({'batch_size': 5, 'context': context})
  for index, params in enumerate(asked):
    assert params['batch_size'] == 5
    assert params['part'] == (index, len(hosts))
    assert params['step_size'] == 16 // len(hosts)


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
  assert rows['training batch'] == (
    '16 images, 2 for each of 8; learning rate of a batch of 64 '
    '(--scale_learning_rate)'
  )
  assert rows['evaluation batch'] == '8 images on one device'
  assert rows['steps'].startswith('77 in all')
  assert rows['precision'] == 'float32'
  assert rows['image size'] == '640 x 640 pixels'
  assert rows['learning rate'] == (
    'from 0.0067 up to 0.08 in 500 steps, 0.008 from step 15000, 0.0008 from '
    'step 20000\n'
    'retinanet_resnet50 has 0.08 for a batch of 64, 0.02 in proportion'
  )
  assert (
    rows['loss'] == 'retinanet_loss.box_loss_weight 50, weight decay 0.0001'
  )
  assert '/somewhere' in rows['checkpoints']

  table = plan.plan_table(params, eight, 'eval')
  rows = dict(zip(*[list(c.cells) for c in table.columns]))
  assert rows['checkpoints'] == 'of /somewhere'
  assert 'steps' not in rows and 'training batch' not in rows


@pytest.mark.parametrize(
  'step,path,words',
  [
    (0, '', 'FROM SCRATCH'),
    (0, '/other/model.ckpt-9', 'warm start from /other/model.ckpt-9'),
    (5, '/other/model.ckpt-9', 'of step 5, which training goes on from'),
  ],
)
@pytest.mark.parametrize('batch_of_rates', [None, 16])
def test_plan_of_a_training(tmp_path, step, path, words, batch_of_rates):
  label_map = tmp_path / 'label_map.txt'
  label_map.write_text(''.join('{}:c{}\n'.format(i, i) for i in range(1, 26)))
  params = golden_numbers.make_params(
    {
      'train': {
        'train_batch_size': 16,
        'total_steps': 10,
        'checkpoint': {'path': path},
        'learning_rate': {
          'type': 'cosine',
          'warmup_steps': 0,
          'base_batch_size': batch_of_rates,
        },
      },
      'retinanet_parser': {'aug_scale_min': 0.5},
      'eval': {'label_map_file': str(label_map)},
    }
  )
  table = plan.plan_table(
    params,
    hardware.Hardware(hardware.CPU, 1, 'CPU'),
    'train',
    run_start.Start(num_files=2, num_images=64, step=step),
  )
  rows = dict(zip(*[list(c.cells) for c in table.columns]))
  assert rows['training images'] == '64 in 2 files: 2.5 epochs'
  assert rows['training batch'] == '16 images'
  assert rows['weights'].startswith(words)
  assert rows['classes'].startswith('1 c1, 2 c2,')
  assert rows['classes'].endswith('20 c20 and 5 more')
  assert rows['image size'].endswith('in training scaled by 0.5 to 1')
  assert rows['learning rate'].startswith('0.08, cosine to step 10\n')


@pytest.mark.parametrize(
  'pattern,words', [('', 'other images'), ('more-*', 'more-*')]
)
def test_plan_says_what_is_pasted(pattern, words):
  params = golden_numbers.make_params(
    {
      'type': 'mask_rcnn',
      'architecture': {'pre_parser': 'extract_objects_parser'},
      'maskrcnn_parser': {'copy_paste': True},
      'train': {'pre_parser_dataset': {'file_pattern': pattern}},
    }
  )
  table = plan.plan_table(
    params, hardware.Hardware(hardware.CPU, 1, 'CPU'), 'train'
  )
  rows = dict(zip(*[list(c.cells) for c in table.columns]))
  assert rows['copy-paste'] == f'objects of {words}, not counted above'


def test_plan_says_that_each_part_has_its_own_statistics():
  params = golden_numbers.make_params(
    {'train': {'train_batch_size': 8, 'gradient_accumulation_steps': 4}}
  )
  table = plan.plan_table(
    params, hardware.Hardware(hardware.GPU, 1, 'any'), 'train'
  )
  rows = dict(zip(*[list(c.cells) for c in table.columns]))
  assert rows['batch norm'] == 'statistics of each part of the batch'


@pytest.mark.parametrize(
  'kind,num_replicas,use_sync_bn,words',
  [
    (hardware.GPU, 1, True, 'statistics of the batch'),
    (hardware.GPU, 2, False, 'statistics of each replica'),
    (hardware.GPU, 2, True, 'statistics of all 2 replicas (synchronised)'),
    (
      hardware.TPU,
      8,
      True,
      'statistics of each replica (more than 8 would share them)',
    ),
    (hardware.TPU, 32, True, 'statistics of all 32 replicas (synchronised)'),
  ],
)
def test_plan_says_whose_statistics_batch_norm_uses(
  kind, num_replicas, use_sync_bn, words
):
  params = golden_numbers.make_params(
    {'batch_norm_activation': {'use_sync_bn': use_sync_bn}}
  )
  table = plan.plan_table(
    params, hardware.Hardware(kind, num_replicas, 'any'), 'train'
  )
  rows = dict(zip(*[list(c.cells) for c in table.columns]))
  assert rows['batch norm'] == words
  if kind == hardware.TPU:
    assert 'for each of' in rows['evaluation batch']


@pytest.mark.parametrize(
  'master,words',
  [
    (None, '8 images, 1 for each of 8'),
    ('local', '8 images on the CPU of this machine'),
    ('grpc://10.0.0.9:8470', '8 images on the TPU grpc://10.0.0.9:8470'),
  ],
)
def test_plan_says_where_a_tpu_run_evaluates(master, words):
  params = golden_numbers.make_params({'platform': {'eval_master': master}})
  tpu = hardware.Hardware(hardware.TPU, 8, 'a TPU')
  table = plan.plan_table(params, tpu, 'train_and_eval')
  rows = dict(zip(*[list(c.cells) for c in table.columns]))
  assert rows['evaluation batch'] == words
