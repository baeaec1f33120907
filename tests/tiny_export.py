"""A detector with random weights, for tests of what is exported."""

import json
import os
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from configs import params_dict, resolver
from serving import export_options
from serving.export import export, request
from serving.graph import serving_graph
from tests import record_factory, tiny_run

# Two levels; scores that spread over [0, 1] give NMS something to do.
SMALL = {
  'architecture': {'min_level': 3, 'max_level': 4, 'num_classes': 3},
  'fpn': {'fpn_feat_dims': 8, 'use_batch_norm': False},
  'postprocess': {'max_total_size': 7, 'score_threshold': 0.2},
}
STEP = 7


class Model(NamedTuple):
  """A checkpoint with its `params.yaml` beside it."""

  params: params_dict.ParamsDict
  checkpoint: str
  directory: str


def resolve(*changes):
  """The small config, validated and locked."""
  overrides = tiny_run.overrides('none', SMALL, *changes)
  return resolver.resolve(params_override=json.dumps(overrides)).params


def make(directory, *changes, image_size=(64, 64)):
  """Writes a checkpoint of random weights; returns the `Model`."""
  params = resolve(*changes)
  built = serving_graph.build(
    params, export_options.ExportOptions(image_size=image_size)
  )
  draw = np.random.RandomState(0)
  with built.graph.as_default(), tf.Session() as session:
    variables = tf.global_variables()
    values = {v.initial_value: _value(v, draw) for v in variables}
    session.run([v.initializer for v in variables], values)
    tf.train.create_global_step().load(STEP, session)
    checkpoint = tf.train.Saver().save(
      session,
      os.path.join(str(directory), 'model.ckpt'),
      global_step=STEP,
      write_meta_graph=False,
    )
  resolver.save_params(params, str(directory))
  return Model(params, checkpoint, str(directory))


def request_of(model, image_size=(64, 64), params=None, **options):
  """An `ExportRequest` for a `Model`."""
  return request.ExportRequest(
    params or model.params,
    model.checkpoint,
    export_options.ExportOptions(image_size=image_size, **options),
  )


def export_text(directory, trained, export_format='text', **kwargs):
  """Exports a `Model` to what the fixture `writes_text` writes."""
  return export.export(
    str(directory),
    trained.checkpoint,
    export_format=export_format,
    check=False,
    **kwargs,
  )


def _value(variable, draw):
  name, shape = variable.op.name, variable.shape.as_list()
  if 'variance' in name or 'gamma' in name:
    return draw.uniform(0.5, 1.5, shape)
  if 'kernel' in name:
    return draw.randn(*shape) / np.sqrt(np.prod(shape[:-1]))
  return draw.uniform(-0.5, 0.5, shape)


def images(count, height=48, width=64):
  """uint8 [count, height, width, 3] of smooth colours."""
  return np.stack(
    [record_factory.pixels(height, width, seed=i) for i in range(count)]
  )


def run(graph_def, fetches, feed):
  """Runs a GraphDef in a session of its own."""
  with tf.Graph().as_default(), tf.Session() as session:
    tf.import_graph_def(graph_def, name='')
    return session.run(fetches, feed)
