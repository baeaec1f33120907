"""Precedence, sources, flags, device rules and saved parameters."""

import json
import os
import stat

import pytest
import yaml

from configs import factory, params_dict, resolver
from utils import errors, files

_NO_FLAGS = dict.fromkeys(resolver.FLAGS)


def _get(resolved, path):
  value = resolved.params
  for name in path.split('.'):
    value = getattr(value, name)
  return value


def _write(tmp_path, text):
  path = tmp_path / 'config.yaml'
  path.write_text(text)
  return str(path)


def test_later_sources_win(tmp_path):
  path = _write(
    tmp_path,
    'train: {total_steps: 1, train_batch_size: 1, iterations_per_loop: 1}',
  )
  resolved = resolver.resolve(
    config_file=path,
    params_override='train.total_steps=2,train.train_batch_size=2',
    flags=dict(_NO_FLAGS, train_steps=3),
  )
  for key, value, source in (
    ('train.total_steps', 3, 'flag'),
    ('train.train_batch_size', 2, 'override'),
    ('train.iterations_per_loop', 1, 'file'),
    ('eval.eval_batch_size', 8, 'default'),
  ):
    assert _get(resolved, key) == value
    assert resolved.sources[key] == source
  assert set(resolved.sources) == {path for path, _ in resolved.params.leaves()}


def test_without_anything():
  resolved = resolver.resolve()
  expected = factory.config_generator('retinanet').as_dict()
  expected['use_tpu'] = False
  expected['architecture']['use_bfloat16'] = False
  expected['train']['transpose_input'] = False
  expected['enable_summary'] = True
  assert resolved.params.as_dict() == expected
  changed = {k: v for k, v in resolved.sources.items() if v != 'default'}
  assert changed == {
    'use_tpu': 'flag',
    'architecture.use_bfloat16': 'device',
    'train.transpose_input': 'device',
    'enable_summary': 'device',
  }


def test_result_is_locked():
  resolved = resolver.resolve()
  with pytest.raises(ValueError, match='locked'):
    resolved.params.train.total_steps = 3


@pytest.mark.parametrize(
  'model, file_type, override_type',
  [
    (None, None, None),
    ('retinanet', None, None),
    (None, 'retinanet', None),
    (None, 'zzz', 'retinanet'),
    ('retinanet', None, 'retinanet'),
  ],
)
def test_model_is_flag_else_type_else_retinanet(
  model, file_type, override_type
):
  resolved = resolver.resolve(
    model=model,
    config_file=file_type and {'type': file_type},
    params_override=override_type and 'type=' + override_type,
  )
  assert resolved.params.type == 'retinanet'


def test_a_model_that_contradicts_a_file_names_it(tmp_path):
  path = tmp_path / 'params.yaml'
  path.write_text('type: classification')
  with pytest.raises(errors.ConfigError) as raised:
    resolver.resolve(model='retinanet', config_file=str(path))
  assert str(raised.value) == (
    f"--model=retinanet contradicts type: 'classification' in '{path}'."
  )


@pytest.mark.parametrize(
  'arguments, parts',
  [
    ({'model': 'zzz'}, ["'zzz' is unknown", 'retinanet']),
    ({'config_file': {'type': 'zzz'}}, ["'zzz' is unknown", 'retinanet']),
    (
      {'model': 'retinanet', 'params_override': 'type=zzz'},
      ["--params_override: model: 'zzz' is unknown", 'retinanet'],
    ),
    (
      {'model': 'retinanet', 'params_override': 'type=classification'},
      ['--model=retinanet contradicts', '--params_override'],
    ),
    (
      {'model': 'shapes', 'config_file': {'type': 'retinanet'}},
      ["model: 'shapes' is unknown", 'retinanet'],
    ),
    ({'params_override': 'type=[1]'}, ['type must be str']),
    ({'config_file': 'nosuch.yaml'}, ['--config_file', "'nosuch.yaml'"]),
    ({'params_override': 'train.zzz=1'}, ['--params_override', 'train.zzz']),
    ({'flags': {'train_steps': 'x'}}, ['--train_steps', 'must be int']),
    ({'flags': {'precision': 'half'}}, ['--precision=half', 'bfloat16']),
  ],
)
def test_errors_name_their_source(arguments, parts):
  with pytest.raises(errors.ConfigError) as info:
    resolver.resolve(**arguments)
  for part in parts:
    assert part in str(info.value)


@pytest.mark.parametrize('model', ['mask_rcnn', 'cascade_mask_rcnn'])
@pytest.mark.parametrize('given', ['mask_rcnn', 'cascade_mask_rcnn'])
def test_type_chooses_among_models_of_the_same_keys(model, given):
  assert resolver.resolve(model=model).params.type == model
  override = json.dumps({'type': given})
  resolved = resolver.resolve(model=model, params_override=override)
  assert resolved.params.type == given


def test_error_in_a_file_names_the_file(tmp_path):
  path = _write(tmp_path, 'train: {zzz: 1}')
  with pytest.raises(errors.UnknownKeyError, match='config.yaml'):
    resolver.resolve(config_file=path)


_FLAG_EFFECTS = [
  ('model_dir', '/m', 'model_dir', '/m'),
  ('use_tpu', True, 'use_tpu', True),
  ('train_batch_size', 3, 'train.train_batch_size', 3),
  ('train_steps', 4, 'train.total_steps', 4),
  ('eval_batch_size', 5, 'eval.eval_batch_size', 5),
  ('iterations_per_loop', 6, 'train.iterations_per_loop', 6),
  ('precision', 'float32', 'architecture.use_bfloat16', False),
  ('skip_host_call', True, 'enable_summary', False),
  ('data_dir', '/d', 'train.train_file_pattern', '/d/t-*'),
  ('num_cores', 32, 'train.num_shards', 32),
  ('tpu', 'grpc://1', 'platform.tpu', 'grpc://1'),
  ('gcp_project', 'p', 'platform.gcp_project', 'p'),
  ('tpu_zone', 'z', 'platform.tpu_zone', 'z'),
  ('eval_master', 'e', 'platform.eval_master', 'e'),
  ('configure_tpu_version', True, 'platform.configure_tpu_version', True),
  ('tpu_job_name', 'j', 'tpu_job_name', 'j'),
  ('scale_learning_rate', True, 'train.learning_rate.base_batch_size', 64),
]


@pytest.mark.parametrize('flag, given, path, value', _FLAG_EFFECTS)
def test_every_flag_beats_file_and_override(flag, given, path, value):
  resolved = resolver.resolve(
    config_file={'use_tpu': flag != 'use_tpu', 'enable_summary': True},
    params_override='train.train_file_pattern=t-*,model_dir=/o',
    flags=dict(_NO_FLAGS, **{flag: given}),
  )
  assert _get(resolved, path) == value
  assert resolved.sources[path] == 'flag'


def test_the_flag_tests_cover_every_flag():
  assert sorted(row[0] for row in _FLAG_EFFECTS) == sorted(resolver.FLAGS)


def test_flags_that_are_not_given_change_nothing():
  resolved = resolver.resolve(
    config_file={'use_tpu': True, 'model_dir': '/m', 'enable_summary': True},
    flags=_NO_FLAGS,
  )
  assert resolved.params.use_tpu is True
  assert resolved.params.model_dir == '/m'
  assert resolved.params.enable_summary is True
  assert resolved.params.architecture.use_bfloat16 is True
  assert resolved.params.train.transpose_input is True
  assert resolved.sources['use_tpu'] == 'file'


def test_data_dir_is_for_relative_paths_only():
  resolved = resolver.resolve(
    params_override={
      'train': {'train_file_pattern': 'a-*, b-*,/c-*,gs://x/d-*'},
      'eval': {'val_json_file': 'sub/v.json', 'eval_file_pattern': '/e-*'},
    },
    flags={'data_dir': '/data'},
  )
  assert resolved.params.train.train_file_pattern == (
    '/data/a-*,/data/b-*,/c-*,gs://x/d-*'
  )
  assert resolved.params.eval.val_json_file == '/data/sub/v.json'
  assert resolved.params.eval.eval_file_pattern == '/e-*'
  assert resolved.sources['eval.eval_file_pattern'] == 'override'
  assert resolved.params.train.pre_parser_dataset.file_pattern == ''


@pytest.mark.parametrize('use_tpu', [False, None])
def test_without_tpu_its_options_are_off(use_tpu, caplog):
  resolved = resolver.resolve(
    config_file={'use_tpu': use_tpu},
    flags={'precision': 'bfloat16'},
  )
  for path in (
    'architecture.use_bfloat16',
    'train.transpose_input',
  ):
    assert _get(resolved, path) is False
    assert resolved.sources[path] == 'device'
  # What was asked for by flag and cannot be had is reported.
  (record,) = caplog.records
  assert 'architecture.use_bfloat16=True has no effect' in record.getMessage()


def test_device_does_not_claim_what_was_off_already():
  resolved = resolver.resolve(params_override='architecture.use_bfloat16=false')
  assert resolved.sources['architecture.use_bfloat16'] == 'override'


def test_synchronised_batch_norm_is_left_to_the_devices():
  resolved = resolver.resolve(
    config_file={'batch_norm_activation': {'use_sync_bn': True}},
    flags={'use_tpu': False},
  )
  assert _get(resolved, 'batch_norm_activation.use_sync_bn') is True


@pytest.mark.parametrize(
  'mode, kept',
  [
    ('train', True),
    ('print_config', True),
    ('eval', False),
    ('train_and_eval', False),
  ],
)
def test_partitioning_is_for_training(mode, kept):
  resolved = resolver.resolve(
    params_override='use_tpu=true,train.num_cores_per_replica=2,'
    'train.input_partition_dims=[[1, 2, 1, 1]]',
    mode=mode,
  )
  train = resolved.params.train
  assert train.num_cores_per_replica == (2 if kept else None)
  assert train.input_partition_dims == ([[1, 2, 1, 1]] if kept else None)


def test_yaml_with_sources_is_aligned_and_loads_back(tmp_path):
  odd = {
    'train': {
      'frozen_variable_prefix': "it's #1: a\nb",
      'train_file_pattern': 'gs://x/' + 'y' * 80,
      'l2_weight_decay': 1e-05,
      'checkpoint': {'path': '1e-4', 'prefix': '# no comment'},
    },
    'spinenet': {'model_id': '143'},
  }
  resolved = resolver.resolve(
    config_file={'eval': {'eval_samples': 5}},
    params_override=odd,
    flags={'train_steps': 9},
  )
  text = resolver.to_yaml_with_sources(resolved)
  path = _write(tmp_path, text)
  read = params_dict.read_yaml_to_params_dict(path)
  assert read.as_dict() == resolved.params.as_dict()
  lines = text.splitlines()
  assert any(
    line.split() == ['total_steps:', '9', '#', 'flag'] for line in lines
  )
  assert any(
    line.split() == ['eval_samples:', '5', '#', 'file'] for line in lines
  )
  assert "  model_id: '143'" in text
  columns = {
    line.rindex('# ') for line in lines if '# ' in line and len(line) < 70
  }
  assert len(columns) == 1
  sources = [line.rsplit('# ', 1)[1] for line in lines if '# ' in line]
  assert len(sources) == len(resolved.sources)
  assert set(sources) == {'default', 'file', 'override', 'flag', 'device'}
  # And as the file of another run, with nothing reported as old.
  again = resolver.resolve(config_file=path)
  assert again.params.as_dict() == resolved.params.as_dict()


def test_saved_parameters_drop_what_is_not_used(tmp_path):
  resolved = resolver.resolve(
    params_override='architecture.backbone=spinenet,'
    'architecture.multilevel_features=identity,spinenet.model_id="96"',
    flags={'num_cores': 32, 'tpu': 'x', 'tpu_job_name': 'j'},
  )
  path = resolver.save_params(resolved.params, str(tmp_path / 'new' / 'run'))
  assert path == str(tmp_path / 'new' / 'run' / 'params.yaml')
  with open(path) as f:
    text = f.read()
  saved = yaml.safe_load(text)
  assert set(saved) == {
    *('anchor', 'architecture', 'batch_norm_activation', 'dropblock'),
    *('enable_summary', 'eval', 'isolate_session_state', 'model_dir'),
    *('postprocess', 'predict', 'retinanet_head', 'retinanet_loss'),
    *('retinanet_parser', 'spinenet', 'train', 'type', 'use_tpu'),
  }
  assert 'num_shards' not in saved['train']
  assert list(saved) == sorted(saved)
  assert 'aspect_ratios: [1.0, 2.0, 0.5]' in text
  assert os.listdir(os.path.dirname(path)) == ['params.yaml']
  # The file has the mode that the umask gives, not a private one.
  (tmp_path / 'other').write_text('')
  assert stat.S_IMODE(os.stat(path).st_mode) == stat.S_IMODE(
    os.stat(str(tmp_path / 'other')).st_mode
  )


def test_saved_parameters_work_as_config_file(tmp_path, caplog):
  resolved = resolver.resolve(
    params_override='train.total_steps=7,train.l2_weight_decay=1e-5,'
    'architecture.space_to_depth_block_size=2',
    flags={'model_dir': str(tmp_path)},
  )
  path = resolver.save_params(resolved.params, str(tmp_path))
  again = resolver.resolve(config_file=path)
  assert again.params.as_dict() == resolved.params.as_dict()
  assert again.sources['train.total_steps'] == 'file'
  assert caplog.records == []


@pytest.mark.parametrize('model_dir', ['', None])
def test_nothing_is_saved_without_model_dir(model_dir, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert resolver.save_params(resolver.resolve().params, model_dir) is None
  assert list(tmp_path.iterdir()) == []


def test_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
  path = tmp_path / 'params.yaml'
  path.write_text('old: 1\n')

  def fail(*_):
    raise OSError(5, 'disk')

  monkeypatch.setattr(os, 'replace', fail)
  with pytest.raises(OSError, match='disk'):
    files.write_text(str(path), 'new: 1\n')
  assert path.read_text() == 'old: 1\n'
  assert [p.name for p in tmp_path.iterdir()] == ['params.yaml']
