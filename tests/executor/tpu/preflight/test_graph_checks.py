import json

import pytest
import tensorflow.compat.v1 as tf

from configs import resolver
from executor.tpu.preflight import background_check, graph_checks
from ops import postprocess_ops
from tests import tiny_run

_BATCHES = {'train': {'train_batch_size': 8}, 'eval': {'eval_batch_size': 8}}


def _params(*changes):
  return resolver.resolve(
    params_override=json.dumps(tiny_run.overrides('', _BATCHES, *changes)),
    flags={'use_tpu': True},
    mode='tpu_preflight',
  ).params


def test_an_operation_without_a_kernel_is_named_with_its_layer(monkeypatch):
  def combined(boxes, scores, params):
    found = tf.image.combined_non_max_suppression(
      boxes[:, :, tf.newaxis], scores, 10, params.max_total_size
    )
    return {
      'num_detections': found.valid_detections,
      'detection_boxes': found.nmsed_boxes,
      'detection_classes': found.nmsed_classes,
      'detection_scores': found.nmsed_scores,
    }

  versions = postprocess_ops.NMS_VERSIONS
  monkeypatch.setitem(versions._entries, 'batched', combined)
  params = _params({'postprocess': {'nms_version': 'batched'}})
  report, graph = graph_checks.check(params, 'eval')
  (problem,) = report.problems
  assert problem.startswith('CombinedNonMaxSuppression in eval, operation ')
  assert "(layer 'detections/combined_non_max_suppression')" in problem
  assert report.num_without_kernel == 1
  assert report.num_operations == len(graph.operations)


def test_what_cannot_be_built_is_a_problem():
  params = _params({'train': {'recompute_grad': True}})
  report, graph = graph_checks.check(params, 'train')
  assert graph is None and report.num_operations is None
  (problem,) = report.problems
  assert problem.startswith('train.recompute_grad: true')


def test_a_batch_that_does_not_divide_hides_nothing():
  sizes = {
    'train': {'train_batch_size': 30},
    'eval': {'eval_batch_size': 5},
  }
  for mode, replica_batch_size in (('train', 3), ('eval', 1)):
    report, graph = graph_checks.check(_params(sizes), mode)
    assert report.replica_batch_size == replica_batch_size
    assert report.num_operations == len(graph.operations)
    assert report.problems == []


def test_a_process_beside_this_one_finds_the_same():
  params = _params()
  with background_check.CheckBeside(params, 'eval') as beside:
    there = beside.report()
  here, _ = graph_checks.check(params, 'eval')
  assert there._replace(seconds=0) == here._replace(seconds=0)


def test_a_process_that_ends_early_is_no_empty_report():
  with background_check.CheckBeside(_params(), 'no such mode') as beside:
    with pytest.raises(RuntimeError, match='exit code 1'):
      beside.report()
