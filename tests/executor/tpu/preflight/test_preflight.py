import io
import json

import pytest
import rich.console

from configs import resolver
from executor.tpu.preflight import preflight
from tests import distinct_networks, programs, tiny_run
from utils import errors

_BATCHES = {'train': {'train_batch_size': 8}, 'eval': {'eval_batch_size': 8}}


def _main(*arguments):
  return programs.run('main.py', *arguments)


def _override(records, *changes):
  return json.dumps(tiny_run.overrides(records, _BATCHES, *changes))


def _run(override, flags=None, **kwargs):
  params = resolver.resolve(
    params_override=override,
    flags={'use_tpu': True, 'model_dir': 'none', **(flags or {})},
    mode='tpu_preflight',
  ).params
  output = io.StringIO()
  console = rich.console.Console(file=output, width=80)
  preflight.run(params, console=console, **kwargs)
  return output.getvalue()


@pytest.mark.slow
def test_program_is_ready_without_a_tpu_and_a_model_directory(tmp_path):
  process = _main(
    '--mode=tpu_preflight',
    '--params_override='
    + _override(
      tiny_run.write_data(tmp_path),
      {
        'train': {'ema_decay': 0.9},
        'resnet': {'resnet_depth': 10, 'init_drop_connect_rate': 0.2},
        'dropblock': {'dropblock_keep_prob': 0.9, 'dropblock_size': 1},
      },
    ),
  )
  assert process.returncode == 0, process.stderr
  assert process.stdout.endswith('TPU preflight: ready.\n')
  assert 'WARNING' not in process.stderr
  for text in (
    'replicas',
    'activations of resnet10',
    'of the 8 GB of a v2 core',
    'of the 16 GB of a v3 core',
  ):
    assert text in process.stdout, text


@pytest.mark.slow
def test_program_names_all_that_would_not_work(tmp_path):
  process = _main(
    '--mode=tpu_preflight',
    '--train_batch_size=30',
    '--eval_batch_size=12',
    '--params_override=' + _override(tiny_run.write_data(tmp_path)),
  )
  assert process.returncode == 2
  assert 'Traceback' not in process.stderr
  assert 'ready' not in process.stdout
  message = process.stderr[process.stderr.index('Error: ') :]
  for text in (
    'train.train_batch_size: 30 images do not divide over 8 replicas',
    'eval.eval_batch_size: 12 images do not divide over 8 replicas',
  ):
    assert message.count(text) == 1, message


@pytest.mark.slow
@pytest.mark.parametrize('version', ['v1', 'v2', 'batched'])
def test_every_nms_version_of_the_project_is_ready(version):
  # `batched` has no CombinedNonMaxSuppression here: all share one search.
  output = _run(_override('', {'postprocess': {'nms_version': version}}))
  assert 'ready' in output


@pytest.mark.slow
def test_training_on_a_tpu_is_checked_first(tmp_path):
  process = _main(
    '--mode=train_and_eval',
    '--use_tpu',
    '--num_cores=16',
    '--tpu=grpc://127.0.0.1',
    '--train_batch_size=30',
    '--model_dir={}'.format(tmp_path / 'model'),
    '--params_override=' + _override(tiny_run.write_data(tmp_path)),
  )
  assert process.returncode == 2
  assert 'train.train_batch_size: 30 images' in process.stderr
  assert 'platform.eval_master: null, but a pod (16 cores' in process.stderr
  assert not (tmp_path / 'model').exists()


@pytest.fixture
def no_graphs(monkeypatch):
  built = []

  def check(params, *unused):
    built.append(params)

  monkeypatch.setattr(preflight, '_check_graphs', check)
  return built


def _problems(override, flags=None, **kwargs):
  with pytest.raises(errors.ConfigError) as info:
    _run(override, flags=flags, **kwargs)
  return str(info.value).splitlines()[1:]


def test_what_a_training_needs_is_looked_for_before_it(no_graphs, tmp_path):
  missing = str(tmp_path / 'none*')
  override = _override(missing)
  (problem,) = _problems(override, trains=True, evaluates=False)
  assert f"No file matches '{missing}'" in problem
  a_file = {'model_dir': tiny_run.write_data(tmp_path)}
  problem, _ = _problems(override, a_file, trains=True, evaluates=False)
  assert problem.startswith('- model_dir: ')
  # By itself the preflight needs no data.
  assert 'ready' in _run(override)
  records = tiny_run.write_data(tmp_path)
  override = _override(records, {'eval': {'eval_file_pattern': missing}})
  assert 'ready' in _run(override, trains=True, evaluates=False)
  (problem,) = _problems(override, trains=True)
  assert f"No file matches '{missing}'" in problem


def test_a_pod_has_to_have_a_place_to_evaluate_if_it_does(no_graphs, tmp_path):
  override = _override(
    tiny_run.write_data(tmp_path), {'train': {'train_batch_size': 32}}
  )
  flags = {'num_cores': 32}
  (problem,) = _problems(override, flags, trains=True)
  assert problem.startswith('- platform.eval_master: null, but a pod')
  assert 'ready' in _run(override, flags=flags)
  assert 'ready' in _run(override, flags=flags, trains=True, evaluates=False)
  flags['eval_master'] = 'my-tpu'
  (problem,) = _problems(override, flags, trains=True)
  assert "'my-tpu' is neither" in problem
  flags['eval_master'] = 'local'
  assert 'ready' in _run(override, flags=flags, trains=True)


def test_a_pod_without_a_place_to_evaluate_is_told_so(no_graphs, tmp_path):
  override = _override(
    tiny_run.write_data(tmp_path), {'train': {'train_batch_size': 32}}
  )
  flags = {'num_cores': 32}
  output = _run(override, flags=flags)
  assert 'Without evaluation only: platform.eval_master: null' in output
  assert 'ready' in output
  for flag in ({}, {'eval_master': 'local'}):
    output = _run(override, flags={'num_cores': 8, **flag})
    assert 'Without evaluation' not in output


def test_batches_of_an_evaluation_that_is_none_of_a_tpu(no_graphs, tmp_path):
  override = _override(
    tiny_run.write_data(tmp_path), {'eval': {'eval_batch_size': 5}}
  )
  (problem,) = _problems(override, trains=True)
  assert 'eval.eval_batch_size: 5 images' in problem
  for kwargs in ({'evaluates': False}, {'flags': {'eval_master': 'local'}}):
    assert 'ready' in _run(override, trains=True, **kwargs)


@pytest.mark.slow
def test_evaluation_on_this_machine_is_no_graph_of_a_tpu():
  output = _run(_override(''), flags={'eval_master': 'local'})
  assert 'train ' in output
  assert 'eval ' not in output


@pytest.mark.slow
def test_too_large_for_a_core():
  with pytest.raises(errors.ConfigError) as info:
    # A batch that does not divide is no reason to look no further.
    override = _override('', {'train': {'train_batch_size': 12}})
    _run(override, flags={'eval_master': 'local'}, core_memory_gb=0.001)
  assert 'train.train_batch_size: 12 images do not divide' in str(info.value)
  assert 'train.train_batch_size: 1 images on a replica need' in str(info.value)
  assert '--core_memory_gb' in str(info.value)


@pytest.mark.slow
def test_default_network_on_an_8_gb_core():
  override = json.dumps({'train': {'train_batch_size': 128}})
  with pytest.raises(errors.ConfigError, match='which has 8 '):
    _run(override, core_memory_gb=8.0)


@pytest.mark.slow
@pytest.mark.parametrize(
  'preset', distinct_networks.find(), ids=lambda p: p.name
)
def test_every_preset_is_ready_at_full_size(preset):
  """SpineNets on the cores of a pod: one image on each."""
  batch = resolver.resolve(
    config_file=preset.path
  ).params.train.train_batch_size
  num_cores = min(batch, 8) if batch <= 64 else 256
  process = _main(
    '--mode=tpu_preflight',
    '--config_file=' + preset.path,
    f'--num_cores={num_cores}',
    f'--eval_batch_size={num_cores}',
  )
  assert process.returncode == 0, process.stderr
  assert process.stdout.endswith('TPU preflight: ready.\n')
