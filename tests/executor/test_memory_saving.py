"""Settings that save memory are refused where they cannot work."""

import io

import pytest
import rich.console
import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf import rewriter_config_pb2

from executor import estimator_factory, hardware, plan, run_check
from executor import runner as runner_lib
from modeling.models import retinanet
from tests import golden_numbers, tiny_run
from utils import errors

_CPU = hardware.Hardware(hardware.CPU, 1, 'CPU')
_TWO_GPUS = hardware.Hardware(hardware.GPU, 2, '2 GPUs')


def _params(train, **blocks):
  return golden_numbers.make_params({'train': train, **blocks})


def _check(params, found):
  run_check.check_hardware(params, found, is_training=True)


def test_nothing_is_on_by_default():
  params = _params({})
  for found in (_CPU, _TWO_GPUS):
    _check(params, found)
    assert 'memory' not in _plan(params, found)


def _plan(params, found):
  console = rich.console.Console(width=200, file=io.StringIO())
  console.print(plan.plan_table(params, found, 'train'))
  return console.file.getvalue()


def test_parts_have_to_divide_what_a_device_has():
  params = _params({'train_batch_size': 8, 'gradient_accumulation_steps': 8})
  _check(params, _CPU)
  with pytest.raises(errors.ConfigError) as info:
    _check(params, _TWO_GPUS)
  assert str(info.value) == (
    'train.train_batch_size: 8 images do not divide over 2 replicas in 8 parts '
    'each (train.gradient_accumulation_steps). Use a multiple of 16, such as '
    '16.'
  )


@pytest.mark.parametrize('kind', [hardware.CPU, hardware.TPU])
def test_mixed_precision_is_for_gpus(kind):
  params = _params({'mixed_precision': True})
  _check(params, _TWO_GPUS)
  with pytest.raises(errors.ConfigError) as info:
    _check(params, hardware.Hardware(kind, 1, 'one ' + kind))
  message = str(info.value)
  assert message.startswith('train.mixed_precision: true ')
  assert 'one ' + kind in message
  assert ('use_bfloat16' in message) == (kind == hardware.TPU)


@pytest.mark.parametrize('is_training', [True, False])
def test_sessions_rewrite_for_mixed_precision_in_training(is_training):
  on = rewriter_config_pb2.RewriterConfig.ON
  for mixed in (True, False):
    config = estimator_factory.session_config(
      _params({'mixed_precision': mixed}), _TWO_GPUS, is_training
    )
    options = config.graph_options.rewrite_options
    assert (options.auto_mixed_precision == on) == (mixed and is_training)
    assert not options.disable_meta_optimizer


def test_plan_names_what_is_on():
  settings = {
    'train_batch_size': 8,
    'gradient_accumulation_steps': 2,
    'recompute_grad': True,
    'mixed_precision': True,
  }
  text = _plan(_params(settings), _TWO_GPUS)
  for words in ('for each of 2 in 2 parts', 'computed again', 'float16'):
    assert words in text


def test_recomputation_is_refused_on_a_tpu():
  params = _params({'recompute_grad': True})
  _check(params, _TWO_GPUS)
  with pytest.raises(errors.ConfigError, match='train.recompute_grad: true'):
    _check(params, hardware.Hardware(hardware.TPU, 8, '8 cores'))


@pytest.mark.parametrize(
  'train', [{'gradient_accumulation_steps': 2}, {'recompute_grad': True}]
)
def test_shared_statistics_of_gpus_are_refused(train):
  params = _params(train, batch_norm_activation={'use_sync_bn': True})
  with pytest.raises(errors.ConfigError, match='use_sync_bn'):
    _check(params, _TWO_GPUS)
  _check(params, _CPU)
  params.override({'batch_norm_activation': {'batch_norm_trainable': False}})
  _check(params, _TWO_GPUS)


@pytest.mark.slow
def test_a_run_goes_on_with_less_memory(tmp_path):
  records = tiny_run.write_data(tmp_path)
  settings = {'gradient_accumulation_steps': 2, 'recompute_grad': True}
  names = []
  for train in ({'total_steps': 1}, {'total_steps': 2, **settings}):
    params = tiny_run.resolve(tmp_path / 'run', records, {'train': train})
    runner_lib.Runner(params).train()
    latest = tf.train.latest_checkpoint(params.model_dir)
    assert latest.endswith('-{}'.format(train['total_steps']))
    names.append(tf.train.list_variables(latest))
  assert names[0] == names[1]


def test_parts_need_losses_that_add_up(monkeypatch):
  params = _params({'train_batch_size': 8, 'gradient_accumulation_steps': 8})
  run_check.check_settings(params, evaluates=False)
  monkeypatch.setattr(retinanet.RetinanetModel, 'losses_add_up', False)
  with pytest.raises(errors.ConfigError, match='do not add up'):
    run_check.check_settings(params, evaluates=False)
