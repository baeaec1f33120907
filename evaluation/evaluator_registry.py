"""Evaluators by their value of `eval.type`."""

from typing import Any, Callable, NamedTuple, Optional, Sequence

from dataloader import record_contents
from utils import registry

# Mean losses and the model's own metrics, without an evaluator.
LOSSES_ALONE = 'customized'
# In configs of other programs; a training does not mind.
ELSEWHERE = (
  'box_and_mask',
  'shapemask_box_and_mask',
  'lvis_box',
  'lvis_box_and_mask',
)


class EvaluatorType(NamedTuple):
  """What scores predictions.

  An evaluator has `reset()`, `update(predictions, groundtruths)` for a batch,
  `dump_predictions(path)` and `evaluate()`, which gives metrics by name, and
  perhaps tables, dicts, for `metrics.json` alone. It knows `class_names` by id,
  and `class_scores` that TensorBoard alone gets, by name; perhaps also `worst`
  images, which are drawn.

  Attributes:
    from_params: makes an evaluator from the whole config.
    needs: keys that the model's predictions must have.
    check: looks at records and annotations of the whole config before a run.
    contents: of the whole config, what it reads from the records itself; None
      if it does not.
    streams_groundtruth: of the whole config, whether it scores by the labels
      of batches, which hold a bounded number of objects.
    metrics: names of those over all classes; none if they are not known.
    has_report: whether a page can be made of its predictions.
  """

  from_params: Callable[[Any], Any]
  needs: Sequence[str]
  check: Callable[[Any], None] = lambda params: None
  contents: Callable[[Any], Optional[record_contents.Contents]] = (
    lambda params: None
  )
  streams_groundtruth: Callable[[Any], bool] = lambda params: False
  metrics: Sequence[str] = ()
  has_report: bool = True


EVALUATORS = registry.Registry('eval.type', (LOSSES_ALONE,))


def register_evaluator(
  name: str, needs: Sequence[str], **more: Any
) -> Callable[..., Any]:
  """Decorates the `from_params` of an evaluator; see `EvaluatorType`."""

  def decorator(from_params):
    EVALUATORS.register(name)(EvaluatorType(from_params, tuple(needs), **more))
    return from_params

  return decorator
