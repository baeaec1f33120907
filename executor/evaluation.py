"""Evaluates checkpoints on every image of a set, exactly once."""

import logging
import os
import re
from typing import Any, Callable, Dict, Optional

import numpy as np
import tensorflow.compat.v1 as tf
import tqdm

from evaluation import annotation_file, coco_evaluator, report
from utils import errors, label_map

_log = logging.getLogger(__name__)

_EVAL_TYPES = {'box': False, 'box_and_mask': True}


class CheckpointEvaluator:
  """Scores checkpoints of one model with COCO's metrics.

  The annotation file is prepared on first use and kept.

  Args:
    params: the whole config.
    estimator: whose `predict` yields batches of `eval.eval_batch_size`.
    input_fn: evaluation input in the mode PREDICT_WITH_GT.
  """

  def __init__(
    self,
    params: Any,
    estimator: tf.estimator.Estimator,
    input_fn: Callable[..., Any],
  ):
    self._params = params
    self._estimator = estimator
    self._input_fn = input_fn
    self._directory = os.path.join(
      params.model_dir, 'eval' + (params.eval.suffix or '')
    )
    self._evaluator: Optional[coco_evaluator.COCOEvaluator] = None
    self._expected_image_ids: Optional[Any] = None

  def evaluate(self, checkpoint_path: Optional[str] = None) -> Dict[str, float]:
    """Evaluates one checkpoint, the latest by default.

    Metrics and losses go to TensorBoard and `metrics.json` in
    `model_dir/eval<suffix>`, detections to `predictions.json` there, and a
    table to the console.

    Returns:
      Metrics and losses by name.

    Raises:
      UserError: there is no checkpoint, or the evaluated images are not the
        expected ones.
    """
    checkpoint_path = checkpoint_path or tf.train.latest_checkpoint(
      self._params.model_dir
    )
    if not checkpoint_path:
      raise errors.UserError(
        "model_dir '{}' holds no checkpoint to evaluate. Train first, or give "
        'the model_dir of a trained model.'.format(self._params.model_dir)
      )
    if self._evaluator is None:
      self._prepare()
    step = checkpoint_step(checkpoint_path)
    losses = self._predict(checkpoint_path)
    tf.gfile.MakeDirs(self._directory)
    self._evaluator.dump_predictions(
      os.path.join(self._directory, 'predictions.json')
    )
    metrics = self._evaluator.evaluate(
      expected_image_ids=self._expected_image_ids
    )
    metrics = {k: float(v) for k, v in {**metrics, **losses}.items()}
    report.write_metrics(self._directory, metrics, step, checkpoint_path)
    report.print_metrics(metrics, step, checkpoint_path)
    return metrics

  def _prepare(self) -> None:
    settings = self._params.eval
    if settings.type not in _EVAL_TYPES:
      raise errors.ConfigError(
        'eval.type: {!r} is not available; known are {}, and customized for '
        'losses alone.'.format(settings.type, ', '.join(sorted(_EVAL_TYPES)))
      )
    annotations = None
    if settings.use_json_file:
      annotations = annotation_file.prepare(
        model_dir=self._params.model_dir,
        val_json_file=settings.val_json_file,
        file_pattern=settings.eval_file_pattern,
        eval_samples=settings.eval_samples,
        regenerate_source_id=(
          self._params.retinanet_parser.regenerate_source_id
        ),
      )
      if not settings.eval_samples:
        self._expected_image_ids = annotation_file.image_ids(annotations)
    names = None
    if settings.label_map_file:
      names = label_map.read_label_map(settings.label_map_file)
    self._evaluator = coco_evaluator.COCOEvaluator(
      annotations,
      include_mask=_EVAL_TYPES[settings.type],
      need_rescale_bboxes=True,
      per_category_metrics=settings.per_category_metrics,
      backend=settings.backend,
      label_map=names,
    )

  def _predict(self, checkpoint_path: str) -> Dict[str, float]:
    """Feeds all predictions to the evaluator; returns the mean losses."""
    self._evaluator.reset()
    settings = self._params.eval
    losses: Dict[str, float] = {}
    num_images = num_batches = 0
    progress = tqdm.tqdm(
      desc='Evaluating', unit='image', total=settings.eval_samples, disable=None
    )
    outputs = self._estimator.predict(
      self._input_fn,
      checkpoint_path=checkpoint_path,
      yield_single_examples=False,
    )
    for batch in outputs:
      if settings.eval_samples:
        batch = limit_images(batch, settings.eval_samples - num_images)
      predictions = _with_prefix(batch, 'pred_')
      groundtruths = _with_prefix(batch, 'gt_')
      self._evaluator.update(
        predictions, None if settings.use_json_file else groundtruths
      )
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
        "eval.eval_file_pattern: '{}' holds no image to evaluate.".format(
          settings.eval_file_pattern
        )
      )
    if settings.eval_samples and num_images < settings.eval_samples:
      raise errors.DataError(
        'eval.eval_samples: {} images are wanted, but the files of '
        "eval.eval_file_pattern '{}' hold {}. Lower it, or set it to null for "
        'all images.'.format(
          settings.eval_samples, settings.eval_file_pattern, num_images
        )
      )
    return {name: value / num_batches for name, value in losses.items()}


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


def checkpoint_step(checkpoint_path: str) -> int:
  """Step in the name of a checkpoint (`model.ckpt-1000`), 0 if none."""
  match = re.search(r'-(\d+)$', os.path.basename(checkpoint_path))
  return int(match.group(1)) if match else 0


def _with_prefix(batch: Dict[str, Any], prefix: str) -> Dict[str, Any]:
  return {
    key[len(prefix) :]: value
    for key, value in batch.items()
    if key.startswith(prefix)
  }
