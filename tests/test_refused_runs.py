"""Bad records and settings end a run with an error that names them."""

import os

import pytest
import tensorflow.compat.v1 as tf

from executor import failures
from executor import runner as runner_lib
from tests import programs, record_factory, tiny_run
from utils import errors

_BAD_RECORDS = {
  'not a tf.Example': b'no example at all',
  'train.skip_broken_images=true': record_factory.make_record(
    source_id=b'55', encoded=b'\xff\xd8\xff broken'
  ),
  'class id': record_factory.make_record(source_id=b'55', classes=(9,)),
  'outside': record_factory.make_record(
    source_id=b'55', boxes=((0.1, 0.2, 1.6, 0.7),)
  ),
  'inverted': record_factory.make_record(
    source_id=b'55', boxes=((0.6, 0.2, 0.1, 0.7),)
  ),
}


@pytest.mark.parametrize(
  'reason',
  [
    'class id',
    *(
      pytest.param(reason, marks=pytest.mark.slow)
      for reason in sorted(_BAD_RECORDS)
      if reason != 'class id'
    ),
  ],
)
def test_bad_record_is_named(tmp_path, reason):
  records = tiny_run.write_data(tmp_path, _BAD_RECORDS[reason])
  params = tiny_run.resolve(tmp_path / 'model', records)
  with pytest.raises(errors.DataError) as info:
    runner_lib.Runner(params).train()
  message = str(info.value)
  assert records in message
  assert reason.split()[-1] in message
  if reason != 'not a tf.Example':
    assert '55' in message


def test_cut_off_file_is_named(tmp_path):
  records = tiny_run.write_data(tmp_path)
  with open(records, 'r+b') as f:
    f.truncate(os.path.getsize(records) - 30)
  params = tiny_run.resolve(tmp_path / 'model', records)
  with pytest.raises(errors.DataError, match='set.tfrecord'):
    runner_lib.Runner(params).train()


@pytest.mark.parametrize(
  'override,words',
  [
    ({'train': {'train_file_pattern': '/nowhere/x-*'}}, '/nowhere/x-'),
    ({'architecture': {'backbone': 'resnext'}}, 'architecture.backbone'),
    ({'train': {'optimizer': {'type': 'lion'}}}, 'momentum'),
    ({'train': {'learning_rate': {'type': 'linear'}}}, 'cosine'),
    ({'train': {'checkpoint': {'path': '/nowhere/ckpt'}}}, '/nowhere/ckpt'),
    ({'eval': {'val_json_file': '/nowhere/val.json'}}, '/nowhere/val.json'),
  ],
)
def test_bad_setting_is_named_before_a_graph_is_built(
  tmp_path, monkeypatch, override, words
):
  params = tiny_run.resolve(
    tmp_path / 'model', tiny_run.write_data(tmp_path), override
  )
  trained = []
  monkeypatch.setattr(
    runner_lib.Runner, '_train_until', lambda self, step: trained.append(step)
  )
  with pytest.raises(errors.UserError, match=words):
    runner_lib.Runner(params).train(eval_after_training=True)
  assert not trained


@pytest.mark.parametrize(
  'override,words',
  [
    ({'eval': {'type': 'bbox'}}, "eval.type: 'bbox' .*; use box, customized"),
    ({'eval': {'type': 'lvis_box'}}, "eval.type: 'lvis_box'"),
    (
      {'eval': {'type': 'box_and_mask'}},
      "eval.type: 'box_and_mask' is not available",
    ),
    ({'eval': {'backend': 'cocoeval'}}, "eval.backend: 'cocoeval' is unknown"),
    ({'postprocess': {'apply_nms': False}}, 'postprocess.apply_nms: false'),
    (
      {'eval': {'best_metric': '-mask_AP5'}},
      "eval.best_metric: 'mask_AP5' is no metric of eval.type 'box'; use AP, ",
    ),
  ],
)
@pytest.mark.parametrize('run', ['train', 'train_and_eval', 'evaluate'])
def test_evaluation_that_cannot_work_stops_before_training(
  tmp_path, monkeypatch, run, override, words
):
  params = tiny_run.resolve(
    tmp_path / 'model', tiny_run.write_data(tmp_path), override
  )
  trained = []
  monkeypatch.setattr(
    runner_lib.Runner, '_train_until', lambda self, step: trained.append(step)
  )
  arguments = [True] if run == 'train' else []
  with pytest.raises(errors.ConfigError, match=words):
    getattr(runner_lib.Runner(params), run)(*arguments)
  assert not trained


def test_training_alone_minds_only_the_spelling_of_the_evaluation(
  tmp_path, monkeypatch
):
  monkeypatch.setattr(runner_lib.Runner, '_train_until', lambda *args: None)
  records = tiny_run.write_data(tmp_path)
  for override in (
    {'eval': {'type': 'lvis_box'}},
    {'postprocess': {'apply_nms': False}},
  ):
    params = tiny_run.resolve(tmp_path / 'model', records, override)
    runner_lib.Runner(params).train()
  params = tiny_run.resolve(
    tmp_path / 'model', records, {'eval': {'type': 'boxes'}}
  )
  with pytest.raises(errors.ConfigError, match="Did you mean 'box'"):
    runner_lib.Runner(params).train()


def test_explanations_of_machine_errors():
  error = tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating')
  assert 'train.train_batch_size' in str(failures.explain(error))
  assert failures.explain(KeyError('a defect')) is None


@pytest.mark.parametrize(
  'arguments,words',
  [
    (['--mode=training'], "Did you mean 'train'?"),
    (['--params_override=train.total_step=1'], 'train.total_steps'),
    (['--model=retina'], 'retinanet'),
    (['--config_file=/nowhere.yaml'], '/nowhere.yaml'),
  ],
)
def test_program_ends_with_one_message(arguments, words):
  process = programs.run('main.py', *arguments)
  output = process.stdout + process.stderr
  assert process.returncode in (1, 2)
  assert words in output
  assert 'Traceback' not in output
  assert output.count('Error: ') == 1
