"""The best checkpoint of a run, kept apart from those that come and go."""

import json
import logging
import math
import os
from typing import Any, Dict, Mapping, Optional, Tuple

import tensorflow.compat.v1 as tf

from configs import resolver
from evaluation import report
from modeling import checkpoint, checkpoint_copy
from utils import errors, files

_log = logging.getLogger(__name__)

_FOLDER, _RECORD = 'best', 'best.json'


class BestCheckpoint:
  """Keeps a copy of the checkpoint that `eval.best_metric` is best of.

  It lies in `model_dir/best<suffix>`, with the `params.yaml` of the run, as a
  directory that a checkpoint can be evaluated, exported and used from.
  `best.json` says how good it is. A program that reads the directory, or a
  run that is killed while it writes there, finds the old one or the new one.

  Args:
    params: the whole config.
  """

  def __init__(self, params: Any):
    self._metric, self._sign = parse(params.eval.best_metric)
    self._model_dir = params.model_dir
    self.directory = os.path.join(
      params.model_dir, _FOLDER + (params.eval.suffix or '')
    )

  def offer(self, metrics: Mapping[str, Any], prefix: str) -> None:
    """Keeps a checkpoint if it is better than what is kept.

    Args:
      metrics: of its evaluation, by name.
      prefix: of its files.
    """
    if is_kept_one(self._model_dir):
      return
    if self._metric not in metrics:
      _log.warning(
        "eval.best_metric: '%s' is none of the metrics (%s), so no best "
        'checkpoint is kept, and no training ends early.%s',
        self._metric,
        ', '.join(sorted(metrics)),
        errors.did_you_mean(self._metric, metrics),
      )
      return
    value = float(metrics[self._metric])
    best = self.read()
    if best:
      # A run that was killed while it kept this one may have left others.
      checkpoint_copy.keep_only(
        os.path.join(self.directory, best['checkpoint'])
      )
    is_better = not best or self._sign * (value - best['value']) > 0
    if math.isfinite(value) and is_better:
      self._keep(prefix, value, metrics)

  def read(self) -> Optional[Dict[str, Any]]:
    """Returns what `best.json` says, None if nothing is kept by the metric.

    Its keys are `metric`, `value`, `step`, `time` (UTC), `checkpoint`, a name
    in the directory, and `metrics`, all those of the evaluation.
    """
    path = os.path.join(self.directory, _RECORD)
    if not tf.io.gfile.exists(path):
      return None
    try:
      best = json.loads(files.read_text(path))
      kept = os.path.join(self.directory, best['checkpoint'])
      if best['metric'] == self._metric and checkpoint.exists(kept):
        return best
    except (ValueError, TypeError, KeyError) as error:
      _log.warning("'%s' is damaged (%r); it is made anew.", path, error)
    return None

  def print_beside(self, metrics: Mapping[str, float], step: int) -> None:
    """Prints the best one and the last, whose metrics and step are given."""
    best = self.read()
    if best:
      report.print_beside(best['metrics'], best['step'], metrics, step)
      _log.info("The best one is in '%s'.", self.directory)

  def _keep(
    self, prefix: str, value: float, metrics: Mapping[str, Any]
  ) -> None:
    tf.io.gfile.makedirs(self.directory)
    kept = checkpoint_copy.copy(prefix, self.directory)
    if not kept:
      _log.warning(
        "'%s' is the best so far, %s %.4g, but was deleted before it could be "
        'kept. Raise train.keep_checkpoints.',
        *(prefix, self._metric, value),
      )
      return
    config = os.path.join(self._model_dir, resolver.FILE_NAME)
    if tf.io.gfile.exists(config):
      files.write_text(
        os.path.join(self.directory, resolver.FILE_NAME),
        files.read_text(config),
      )
    step = checkpoint.step_of(prefix)
    files.write_json(
      os.path.join(self.directory, _RECORD),
      {
        'metric': self._metric,
        'value': value,
        'step': step,
        'time': report.now(),
        'checkpoint': os.path.basename(kept),
        'metrics': {
          name: float(value) if math.isfinite(value) else None
          for name, value in metrics.items()
        },
      },
      indent=2,
    )
    checkpoint_copy.keep_only(kept)
    _log.info(
      "Step %d is the best so far, %s %.4g; it is kept in '%s'.",
      *(step, self._metric, value, self.directory),
    )


def parse(metric: str) -> Tuple[str, int]:
  """Returns the name and 1, or -1 if a `-` in front means: less is better."""
  return metric.lstrip('-'), -1 if metric.startswith('-') else 1


def is_kept_one(model_dir: str) -> bool:
  """Whether a model directory is what another run keeps as its best."""
  return tf.io.gfile.exists(os.path.join(model_dir, _RECORD))
