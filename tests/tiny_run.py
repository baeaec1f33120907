"""A data set and a config that train within seconds, for tests of runs."""

import json
from typing import NamedTuple

from configs import resolver
from executor import runner as runner_lib
from tests import record_factory

NUM_IMAGES = 7
_SMALL = {
  'architecture': {'min_level': 3, 'max_level': 5, 'num_classes': 3},
  'anchor': {'num_scales': 1, 'aspect_ratios': [1.0]},
  'retinanet_parser': {'output_size': [64, 64], 'max_num_instances': 5},
  'resnet': {'resnet_depth': 10},
  'fpn': {'fpn_feat_dims': 8},
  'retinanet_head': {'num_convs': 1, 'num_filters': 8},
  'postprocess': {'max_total_size': 10},
  'train': {
    'train_batch_size': 2,
    'total_steps': 3,
    'seed': 1,
    'learning_rate': {
      'type': 'step',
      'warmup_steps': 2,
      'warmup_learning_rate': 0.001,
      'init_learning_rate': 0.01,
      'learning_rate_levels': [0.001],
      'learning_rate_steps': [100],
    },
  },
  'eval': {'eval_batch_size': 3, 'eval_timeout': 1, 'min_eval_interval': 0},
}


def resolved(small, model_dir, records, **changes):
  """The params of a nested dict, for one file of records."""
  override = json.loads(json.dumps(small))
  for block, values in changes.items():
    override.setdefault(block, {}).update(values)
  override['train']['train_file_pattern'] = records
  override['eval']['eval_file_pattern'] = records
  return resolver.resolve(
    params_override=json.dumps(override), flags={'model_dir': str(model_dir)}
  ).params


class TrainedRun(NamedTuple):
  """A run of 3 steps."""

  model_dir: str
  records: str


def write_data(directory, bad_record=None):
  """Seven images with one object each; `bad_record` in place of the fourth."""
  records = [
    record_factory.make_record(
      source_id=str(100 + i).encode(),
      encoded=record_factory.encode(record_factory.pixels(seed=i)),
      classes=(1 + i % 2,),
    )
    for i in range(NUM_IMAGES)
  ]
  if bad_record is not None:
    records[3] = bad_record
  return record_factory.write_records(directory / 'set.tfrecord', records)


def overrides(records, *changes):
  """The tiny config for one file of records, as a nested dict.

  Changes are of blocks; None leaves one out.
  """
  merged = json.loads(json.dumps(_SMALL))
  data = {
    'train': {'train_file_pattern': records},
    'eval': {'eval_file_pattern': records},
  }
  for change in (data, *changes):
    for block, values in change.items():
      if isinstance(values, dict):
        merged.setdefault(block, {}).update(values)
      elif values is None:
        del merged[block]
      else:
        merged[block] = values
  return merged


def resolve(model_dir, records, *changes):
  """The tiny config, validated and locked."""
  return resolver.resolve(
    params_override=json.dumps(overrides(records, *changes)),
    flags={'model_dir': str(model_dir)},
  ).params


def train(directory, *changes):
  """Trains in a new directory; returns the `TrainedRun`."""
  records = write_data(directory)
  params = resolve(directory / 'model', records, *changes)
  runner_lib.Runner(params).train()
  return TrainedRun(params.model_dir, records)
