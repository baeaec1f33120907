"""A run goes on by itself after its TPU was taken away."""

import functools

import pytest
import tensorflow.compat.v1 as tf

from configs import params_dict
from executor import estimator_factory, hardware
from executor import runner as runner_lib
from executor.tpu import preemption
from modeling import model_builder
from tests import tiny_run
from tests.executor.tpu import fake_tpu_api
from tools import synthetic_batch
from utils import errors, interruption

_UNAVAILABLE = tf.errors.UnavailableError(None, None, 'Socket closed\nmore')


class _LoseOnceHook(tf.train.SessionRunHook):
  """Breaks the connection once, after a step was done."""

  def __init__(self, at_step, error=_UNAVAILABLE):
    self._at_step = at_step
    self._error = error
    self.steps = []

  def begin(self):
    self._step = tf.train.get_global_step()

  def after_run(self, run_context, run_values):
    step = int(run_context.session.run(self._step))
    self.steps.append(step)
    if self._error and step == self._at_step:
      error, self._error = self._error, None
      raise error


def _train_in_a_session(directory, hook, scaffold):
  with tf.Graph().as_default():
    step = tf.train.get_or_create_global_step()
    train_op = tf.assign_add(step, 1)
    with tf.train.MonitoredTrainingSession(
      checkpoint_dir=directory,
      scaffold=scaffold(),
      hooks=[tf.train.StopAtStepHook(last_step=4), hook],
      save_checkpoint_steps=1,
      save_summaries_steps=None,
      log_step_count_steps=None,
    ) as session:
      while not session.should_stop():
        session.run(train_op)


def test_lost_session_is_not_made_again_at_the_old_address(tmp_path):
  hook = _LoseOnceHook(at_step=2)
  with pytest.raises(preemption.SessionLostError):
    _train_in_a_session(str(tmp_path), hook, preemption.OneSessionScaffold)
  assert hook.steps == [1, 2]
  # What an ordinary session does.
  hook = _LoseOnceHook(at_step=3)
  _train_in_a_session(str(tmp_path), hook, tf.train.Scaffold)
  assert hook.steps[-1] == 4


def _platform(tpu='my-tpu'):
  return params_dict.ParamsDict(
    {'tpu': tpu, 'tpu_zone': 'zone-a', 'gcp_project': 'my-project'}
  )


@pytest.mark.parametrize(
  'answer,error,is_lost',
  [
    (fake_tpu_api.node(), _UNAVAILABLE, True),
    (fake_tpu_api.node(), tf.errors.AbortedError(None, None, ''), True),
    (fake_tpu_api.node(), preemption.SessionLostError(), True),
    # Other errors count while the API says that something is wrong.
    (fake_tpu_api.node('PREEMPTED'), RuntimeError('closed'), True),
    (404, RuntimeError('closed'), True),
    (fake_tpu_api.node('READY', 'UNHEALTHY_X'), RuntimeError('closed'), True),
    (fake_tpu_api.node(), RuntimeError('a defect'), False),
    (403, RuntimeError('a defect'), False),
    (fake_tpu_api.node('PREEMPTED'), errors.DataError('a bad record'), False),
    (
      fake_tpu_api.node('PREEMPTED'),
      interruption.Interrupted('by Ctrl-C', 2),
      False,
    ),
  ],
)
def test_what_counts_as_a_loss(answer, error, is_lost):
  with fake_tpu_api.FakeTpuApi(answer).running() as api:
    got = preemption.is_lost(error, _platform(), api.service())
  assert got == is_lost


def test_without_the_api_only_the_connection_tells():
  platform = _platform('grpc://127.0.0.1:1')
  assert preemption.is_lost(_UNAVAILABLE, platform)
  assert not preemption.is_lost(RuntimeError('a defect'), platform)


def _is_unavailable(error):
  return error is _UNAVAILABLE


class _Training:
  """Reaches each of `steps` in turn, then fails or returns."""

  def __init__(self, steps, error=_UNAVAILABLE, is_lost=_is_unavailable):
    self._steps = list(steps)
    self._error = error
    self._is_lost = is_lost
    self.step = 0
    self.num_recoveries = 0

  def _work(self):
    self.step = self._steps.pop(0)
    if self.step < 9 and self._error:
      raise self._error

  def _recover(self):
    self.num_recoveries += 1

  def run(self):
    preemption.repeat_if_lost(
      self._work,
      is_lost=self._is_lost,
      recover=self._recover,
      step=lambda: self.step,
      last_step=9,
    )


def test_estimator_keeps_a_lost_connection_to_itself(tmp_path):
  """Why a training that returns is not taken for finished."""

  def input_fn(params):
    del params
    raise _UNAVAILABLE

  estimator = tf.estimator.tpu.TPUEstimator(
    model_fn=lambda features, labels, mode, params: None,
    config=tf.estimator.tpu.RunConfig(model_dir=str(tmp_path)),
    use_tpu=False,
    train_batch_size=1,
  )
  assert estimator.train(input_fn, max_steps=1) is None
  assert tf.train.latest_checkpoint(str(tmp_path)) is None


@pytest.mark.parametrize('error', [_UNAVAILABLE, None])
def test_work_is_repeated_until_the_last_step(error, caplog):
  # Without an error, too: an estimator keeps some of them to itself.
  training = _Training([3, 3, 3, 5, 5, 5, 9], error)
  training.run()
  assert training.num_recoveries == 6
  assert 'goes on from step 5' in caplog.text


def test_losses_without_progress_end_the_run():
  training = _Training([3] * 9)
  with pytest.raises(errors.UserError, match='lost 4 times') as info:
    training.run()
  assert training.num_recoveries == 3
  assert 'after step 3' in str(info.value)
  assert 'Socket closed)' in str(info.value)
  assert 'train.save_checkpoint_seconds' in str(info.value)


def test_a_defect_is_not_retried():
  training = _Training([3] * 9, ValueError('a defect'))
  with pytest.raises(ValueError, match='a defect'):
    training.run()
  assert training.num_recoveries == 0


class _Evaluation:
  """Is broken off so often, then gives a number."""

  def __init__(self, num_losses, error=_UNAVAILABLE, is_lost=_is_unavailable):
    self._num_losses = num_losses
    self._error = error
    self._is_lost = is_lost
    self.num_recoveries = 0

  def _work(self):
    if self._num_losses:
      self._num_losses -= 1
      raise self._error
    return 0.5

  def _recover(self):
    self.num_recoveries += 1

  def run(self):
    return preemption.repeat_if_lost(
      self._work,
      is_lost=self._is_lost,
      recover=self._recover,
    )


def test_evaluation_starts_anew():
  evaluation = _Evaluation(num_losses=3)
  assert evaluation.run() == 0.5
  assert evaluation.num_recoveries == 3
  assert _Evaluation(num_losses=0).run() == 0.5


@pytest.mark.parametrize('answer', [404, 503, fake_tpu_api.node('PREEMPTED')])
def test_a_tpu_that_the_api_does_not_know_any_more_is_recovered(answer):
  """What the API raises is not taken for the error that is asked about."""
  with fake_tpu_api.FakeTpuApi(answer).running() as api:

    def is_lost(error):
      return preemption.is_lost(error, _platform(), api.service())

    error = RuntimeError('closed')
    evaluation = _Evaluation(num_losses=1, error=error, is_lost=is_lost)
    assert evaluation.run() == 0.5
    training = _Training([3, 9], error=error, is_lost=is_lost)
    training.run()
  assert evaluation.num_recoveries == training.num_recoveries == 1


def test_evaluation_that_never_ends_and_defects_end_the_run():
  evaluation = _Evaluation(num_losses=4)
  with pytest.raises(errors.UserError, match='lost 4 times') as info:
    evaluation.run()
  assert 'Socket closed)' in str(info.value)
  assert evaluation.num_recoveries == 3
  evaluation = _Evaluation(num_losses=1, error=ValueError('a defect'))
  with pytest.raises(ValueError, match='a defect'):
    evaluation.run()
  assert evaluation.num_recoveries == 0


@pytest.mark.slow
def test_run_resumes_from_its_checkpoint_on_the_new_tpu(
  tmp_path, monkeypatch, caplog
):
  """A real training, but on the CPU in place of a TPU."""
  detected = []

  def detect(params, awaits_new_tpu=False):
    detected.append(awaits_new_tpu)
    return hardware.Hardware(hardware.TPU, 1, 'a TPU')

  make_estimator = estimator_factory.make_estimator

  def make_on_cpu(params, model_fn, found, *args, **kwargs):
    cpu = hardware.Hardware(hardware.CPU, 1, 'CPU')
    return make_estimator(params, model_fn, cpu, *args, **kwargs)

  lose = _LoseOnceHook(at_step=2)
  train = tf.estimator.tpu.TPUEstimator.train

  @functools.wraps(train)
  def train_and_lose(self, *args, hooks, **kwargs):
    return train(self, *args, hooks=[*hooks, lose], **kwargs)

  monkeypatch.setattr(hardware, 'detect', detect)
  monkeypatch.setattr(estimator_factory, 'make_estimator', make_on_cpu)
  monkeypatch.setattr(tf.estimator.tpu.TPUEstimator, 'train', train_and_lose)
  # On a TPU the scaffold does it; here the loss ends the session likewise.
  monkeypatch.setattr(
    tf.train,
    'Scaffold',
    lambda **kwargs: preemption.OneSessionScaffold(),
  )
  records = tiny_run.write_data(tmp_path)
  params = tiny_run.resolve(
    tmp_path / 'model', records, {'train': {'save_checkpoint_seconds': 0}}
  )
  runner_lib.Runner(params).train()
  assert detected == [False, True]
  assert lose.steps == [1, 2, 3]
  assert 'Work goes on from step 2' in caplog.text
  latest = tf.train.latest_checkpoint(params.model_dir)
  assert latest.endswith('model.ckpt-3')


@pytest.fixture
def tpu_run(tmp_path, monkeypatch):
  """A `Runner` on a TPU that is made up, and how often that was found."""
  found = []

  def detect(params, awaits_new_tpu=False):
    del params
    found.append(awaits_new_tpu)
    return hardware.Hardware(hardware.TPU, 1, 'a TPU')

  monkeypatch.setattr(hardware, 'detect', detect)

  def make(**platform):
    params = tiny_run.resolve(
      tmp_path,
      'none',
      {
        'use_tpu': True,
        'platform': platform,
        'architecture': {
          # A graph that is built soon.
          **{'min_level': 4, 'max_level': 4, 'multilevel_features': 'identity'},
          'use_bfloat16': False,
        },
        'train': {'transpose_input': False},
      },
    )
    return runner_lib.Runner(params), params, found

  return make


def test_every_session_with_a_tpu_ends_when_it_is_lost(tpu_run):
  _, params, _ = tpu_run()
  model_fn = model_builder.ModelFn(
    params, make_tpu_scaffold=preemption.OneSessionScaffold
  )
  with tf.Graph().as_default():
    images, labels = tf.nest.map_structure(
      tf.convert_to_tensor, synthetic_batch.make(params, 1)
    )
    tf.train.get_or_create_global_step()
    spec = model_fn(images, labels, tf.estimator.ModeKeys.TRAIN)
    assert isinstance(spec.scaffold_fn(), preemption.OneSessionScaffold)
  with tf.Graph().as_default():
    images, labels = tf.nest.map_structure(
      tf.convert_to_tensor, synthetic_batch.make(params, 1)
    )
    labels['image_info'] = tf.ones([1, 4, 2])
    spec = model_fn(images, labels, tf.estimator.ModeKeys.EVAL)
    assert isinstance(spec.scaffold_fn(), preemption.OneSessionScaffold)


@pytest.mark.parametrize(
  'master,error,is_repeated',
  [
    (None, ValueError('any'), True),
    (None, _UNAVAILABLE, True),
    # What the training TPU is like does not matter then.
    ('grpc://10.0.0.9:8470', ValueError('any'), False),
    ('grpc://10.0.0.9:8470', _UNAVAILABLE, True),
    ('local', ValueError('any'), False),
    ('local', _UNAVAILABLE, False),
  ],
)
def test_an_evaluation_elsewhere_does_not_wait_for_the_training_tpu(
  master, error, is_repeated, tpu_run, monkeypatch
):
  runner, _, found = tpu_run(eval_master=master)
  results = [error, 0.5]
  made = []

  class Evaluator:
    def evaluate(self, path):
      result = results.pop(0)
      if isinstance(result, Exception):
        raise result
      return result

  monkeypatch.setattr(
    runner, '_make_evaluator', lambda: made.append(1) or Evaluator()
  )
  # The API calls the training TPU preempted.
  monkeypatch.setattr(preemption, 'is_lost', lambda error, platform: True)
  if is_repeated:
    assert runner._evaluate() == 0.5
    assert len(made) == 2
  else:
    with pytest.raises(type(error)):
      runner._evaluate()
  # Whether the TPU that trains was waited for.
  assert found == ([False] if master else [False, True])
