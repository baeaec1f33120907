"""Evaluation of checkpoints on every image of a set, exactly once."""

import datetime
import logging
import os
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf
import tqdm

import evaluation
from configs import factory as config_factory
from dataloader import parser_generator, record_contents
from evaluation import coco_metrics, evaluator_registry, report
from executor import best_checkpoint, checkpointing, shown_images
from modeling import checkpoint, factory
from utils import discovery, errors, mode_keys

_log = logging.getLogger(__name__)

discovery.import_submodules(evaluation.__path__, evaluation.__name__)


def check_settings(params: Any, evaluates: bool) -> None:
  """Finds settings that end an evaluation, before training takes its time.

  Args:
    params: the whole config.
    evaluates: whether the run evaluates; if not, only the spelling counts.

  Raises:
    ConfigError: a setting cannot work.
  """
  name = params.eval.type
  if not evaluates and name in evaluator_registry.ELSEWHERE:
    return
  fitting = {
    *config_factory.eval_types(params.type),
    evaluator_registry.LOSSES_ALONE,
  }
  if name not in fitting:
    raise errors.ConfigError(
      "eval.type: {!r} is not available for '{}'; use {} ({}: losses "
      'alone).{}'.format(
        name,
        params.type,
        ', '.join(sorted(fitting)),
        evaluator_registry.LOSSES_ALONE,
        errors.did_you_mean(name, fitting),
      )
    )
  if 'backend' in params.eval:
    coco_metrics.BACKENDS.get(params.eval.backend)
  if not evaluates:
    return
  model = factory.model_generator(params)
  if name == evaluator_registry.LOSSES_ALONE:
    if not model.has_evaluation_losses:
      raise errors.ConfigError(
        f'eval.type: {name!r} is not possible with {params.type!r}, which has '
        'losses in training alone. Use {}.'.format(
          ' or '.join(map(repr, config_factory.eval_types(params.type)))
        )
      )
    return
  if 'postprocess' in params and not params.postprocess.apply_nms:
    raise errors.ConfigError(
      'postprocess.apply_nms: false gives raw boxes and scores, which cannot '
      'be evaluated. Set it to true, or eval.type to '
      f"'{evaluator_registry.LOSSES_ALONE}' for losses alone."
    )
  evaluator = evaluator_registry.EVALUATORS.get(name)
  missing = [key for key in evaluator.needs if key not in model.predicted]
  if missing:
    raise errors.ConfigError(
      f'eval.type: {name!r} scores {missing[0]}, which the model '
      f"'{params.type}' does not predict. Use another one, or "
      f"'{evaluator_registry.LOSSES_ALONE}' for losses alone."
    )
  metric, _ = best_checkpoint.parse(params.eval.best_metric)
  known = [*evaluator.metrics]
  if model.has_evaluation_losses:
    known += [*model.watched_losses, 'model_loss']
  # The names of classes are not known here.
  if evaluator.metrics and metric not in known and '/' not in metric:
    raise errors.ConfigError(
      f'eval.best_metric: {metric!r} is no metric of eval.type {name!r}; use '
      f'{", ".join(known)}.{errors.did_you_mean(metric, known)}'
    )


def evaluator_for(params: Any) -> Tuple[Any, str]:
  """Returns the evaluator's class of `eval.type`, and its input's mode."""
  if params.eval.type == evaluator_registry.LOSSES_ALONE:
    return LossEvaluator, mode_keys.EVAL
  return CheckpointEvaluator, mode_keys.PREDICT_WITH_GT


def check_report(params: Any) -> None:
  """Raises ConfigError if an evaluation leaves nothing to report of."""
  if params.eval.type == evaluator_registry.LOSSES_ALONE:
    raise errors.ConfigError(
      f'--report: eval.type {params.eval.type!r} has no predictions; use '
      f'{" or ".join(map(repr, config_factory.eval_types(params.type)))}.'
    )
  if not evaluator_registry.EVALUATORS.get(params.eval.type).has_report:
    raise errors.ConfigError(
      f'--report: there is no page for eval.type {params.eval.type!r}; its '
      f"worst images are drawn in '{shown_images.WORST}' of the evaluation's "
      'directory. Leave it out.'
    )


def write_report(params: Any) -> None:
  """Writes `report.html` of the last evaluation into its directory."""
  # Imported here: nothing else needs matplotlib.
  from evaluation.pages import report_page, run_results

  results = run_results.of_model_dir(params.model_dir, params)
  report_page.write(os.path.join(results.directory, 'report.html'), results)


def contents_of_records(params: Any) -> record_contents.Contents:
  """What the records of an evaluation have to hold."""
  name, mode = params.eval.type, evaluator_for(params)[1]
  of_evaluator = None
  if name != evaluator_registry.LOSSES_ALONE:
    of_evaluator = evaluator_registry.EVALUATORS.get(name).contents(params)
  parser = parser_generator.parser_generator(params, mode)
  return of_evaluator or parser.contents


class _Evaluator:
  """An evaluator of checkpoints; for the arguments see those below."""

  def __init__(
    self,
    params: Any,
    estimator: tf.estimator.Estimator,
    input_fn: Callable[..., Any],
  ):
    self._params = params
    self._estimator = estimator
    self._input_fn = input_fn


class CheckpointEvaluator(_Evaluator):
  """Scores checkpoints of one model by the evaluator of `eval.type`.

  The evaluator is made on first use and kept.

  Args:
    params: the whole config.
    estimator: whose `predict` yields batches of `eval.eval_batch_size`.
    input_fn: evaluation input in the mode PREDICT_WITH_GT.
  """

  def __init__(self, params: Any, *args: Any):
    super().__init__(params, *args)
    self._directory = directory_of(params)
    self._evaluator: Optional[Any] = None
    self._shown = shown_images.ShownImages(params)

  def evaluate(self, checkpoint_path: Optional[str] = None) -> Dict[str, float]:
    """Evaluates one checkpoint, the latest by default.

    Metrics and losses go to TensorBoard, `metrics.json` and `history.json` in
    `model_dir/eval<suffix>`, detections to `predictions.json` there, those of
    some images to TensorBoard, of the worst, where the evaluator knows them, to
    `worst` there, and a table to the console.

    Returns:
      Metrics and losses by name.

    Raises:
      UserError: there is no checkpoint, it is of another architecture, or the
        evaluated images are not the expected ones.
    """
    checkpoint_path = checkpoint_path or _latest(self._params.model_dir)
    if self._evaluator is None:
      self._evaluator = evaluator_registry.EVALUATORS.get(
        self._params.eval.type
      ).from_params(self._params)
    losses = self._predict(checkpoint_path)
    tf.gfile.MakeDirs(self._directory)
    self._evaluator.dump_predictions(
      os.path.join(self._directory, 'predictions.json')
    )
    metrics = self._evaluator.evaluate()
    self._shown.write_worst(self._directory, self._evaluator)
    return _report(
      self._params,
      {**metrics, **losses},
      checkpoint_path,
      pictures=self._shown.draw(self._evaluator.class_names),
      class_scores=self._evaluator.class_scores,
    )

  def _predict(self, checkpoint_path: str) -> Dict[str, float]:
    """Feeds all predictions to the evaluator; returns the mean losses."""
    self._evaluator.reset()
    self._shown.reset()
    settings = self._params.eval
    losses: Dict[str, float] = {}
    num_images = num_batches = 0
    progress = tqdm.tqdm(
      desc='Evaluating', unit='image', total=settings.eval_samples, disable=None
    )
    outputs = self._estimator.predict(
      self._input_fn,
      hooks=[
        checkpointing.FittingCheckpointHook(checkpoint_path, settings.use_ema)
      ],
      checkpoint_path=checkpoint_path,
      yield_single_examples=False,
    )
    for batch in outputs:
      if settings.eval_samples:
        batch = limit_images(batch, settings.eval_samples - num_images)
      predictions = _with_prefix(batch, 'pred_')
      groundtruths = _with_prefix(batch, 'gt_')
      self._evaluator.update(predictions, groundtruths)
      self._shown.update(predictions, groundtruths)
      for name, values in _with_prefix(batch, 'loss_').items():
        losses[name] = losses.get(name, 0.0) + float(np.mean(values))
      num_batches += 1
      real = int(np.sum(~np.asarray(predictions['is_padding'])))
      num_images += real
      progress.update(real)
      if settings.eval_samples and num_images >= settings.eval_samples:
        break
    outputs.close()
    progress.close()
    if not num_images:
      raise errors.DataError(
        f"eval.eval_file_pattern: '{settings.eval_file_pattern}' holds no "
        'image to evaluate.'
      )
    if settings.eval_samples and num_images < settings.eval_samples:
      raise errors.DataError(
        f'eval.eval_samples: {settings.eval_samples} images are wanted, but '
        f"the files of eval.eval_file_pattern '{settings.eval_file_pattern}' "
        f'hold {num_images}. Lower it, or set it to null for all images.'
      )
    return {name: value / num_batches for name, value in losses.items()}


class LossEvaluator(_Evaluator):
  """Averages the losses of checkpoints over the batches of a set.

  Args:
    params: the whole config.
    estimator: whose `evaluate` takes batches of `eval.eval_batch_size`.
    input_fn: evaluation input in the mode EVAL.
  """

  def evaluate(self, checkpoint_path: Optional[str] = None) -> Dict[str, float]:
    """Evaluates one checkpoint, the latest by default.

    Losses go to TensorBoard and `metrics.json` in `model_dir/eval<suffix>` and
    to the console.

    Returns:
      Losses by name.

    Raises:
      UserError: there is no checkpoint, or it is of another architecture.
    """
    checkpoint_path = checkpoint_path or _latest(self._params.model_dir)
    settings = self._params.eval
    steps = None
    if settings.eval_samples:
      steps = -(-settings.eval_samples // settings.eval_batch_size)
    losses = self._estimator.evaluate(
      self._input_fn,
      steps=steps,
      hooks=[
        checkpointing.FittingCheckpointHook(checkpoint_path, settings.use_ema)
      ],
      checkpoint_path=checkpoint_path,
      # The estimator's own events go to `eval_<name>`.
      name=(settings.suffix or '').lstrip('_') or None,
    )
    losses.pop('global_step', None)
    return _report(self._params, losses, checkpoint_path)


def checkpoints_to_score(params: Any) -> List[str]:
  """Checkpoints that an evaluation begins with, oldest first.

  They are those of the model directory that were not scored since they were
  saved, as `history.json` knows, and the last one in any case. Of step 0, where
  nothing is learned yet, it is scored only if there is no other.
  """
  prefixes = checkpoint.find_all(params.model_dir)
  scored = {
    os.path.basename(entry['checkpoint']): entry['time']
    for entry in report.read_history(directory_of(params))
  }

  def is_scored(prefix: str) -> bool:
    seconds = tf.io.gfile.stat(prefix + '.index').mtime_nsec / 1e9
    saved = datetime.datetime.utcfromtimestamp(seconds)
    # Times of this format are in the order of their text.
    return scored.get(os.path.basename(prefix), '') >= saved.strftime(
      report.TIME_FORMAT
    )

  trained = [p for p in prefixes[:-1] if checkpoint.step_of(p)]
  return [p for p in trained if not is_scored(p)] + prefixes[-1:]


def directory_of(params: Any) -> str:
  """Where the metrics and the history of evaluations are."""
  return os.path.join(params.model_dir, 'eval' + (params.eval.suffix or ''))


def _latest(model_dir: str) -> str:
  path = checkpoint.find_latest(model_dir)
  if not path:
    raise errors.UserError(
      f"model_dir '{model_dir}' holds no checkpoint to evaluate. Train first, "
      'or give the model_dir of a trained model.'
    )
  return path


def _report(
  params: Any,
  metrics: Dict[str, Any],
  checkpoint_path: str,
  **for_tensorboard: Any,
) -> Dict[str, float]:
  """Keeps the best one, writes and prints; returns plain floats."""
  directory = directory_of(params)
  step = checkpoint.step_of(checkpoint_path)
  plain = {
    name: float(value)
    for name, value in metrics.items()
    if not isinstance(value, dict)
  }
  # Before the history, which says that this one need not be evaluated again.
  best_checkpoint.BestCheckpoint(params).offer(plain, checkpoint_path)
  report.write_metrics(
    directory, metrics, step, checkpoint_path, **for_tensorboard
  )
  report.print_metrics(metrics, step, checkpoint_path)
  _log.info("The metrics are in '%s'.", os.path.join(directory, 'metrics.json'))
  return plain


def limit_images(batch: Dict[str, Any], count: int) -> Dict[str, Any]:
  """Marks all but the first `count` real images of a batch as padding.

  Args:
    batch: arrays by key, `pred_is_padding` bool [batch] among them.
    count: number of images to keep.
  """
  batch = dict(batch)
  is_real = ~np.asarray(batch['pred_is_padding'])
  is_padding = ~(is_real & (np.cumsum(is_real) <= count))
  for key in ('pred_is_padding', 'gt_is_padding'):
    if key in batch:
      batch[key] = is_padding
  return batch


def _with_prefix(batch: Dict[str, Any], prefix: str) -> Dict[str, Any]:
  return {
    key[len(prefix) :]: value
    for key, value in batch.items()
    if key.startswith(prefix)
  }
