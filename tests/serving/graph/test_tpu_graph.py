"""A SavedModel for TPUs holds two meta graphs that share their variables."""

import collections
import subprocess

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf import saved_model_pb2

from configs import resolver
from serving.export.formats import saved_model
from tests import programs, record_factory, tiny_export, tiny_run


@pytest.fixture(scope='module')
def written(resnet_model, tmp_path_factory):
  directories = {}
  params = resolver.resolve(
    params_override=tiny_run.overrides(
      'none',
      tiny_export.SMALL,
      {'architecture': dict(tiny_export.SMALL['architecture'], **_BFLOAT16)},
    ),
    flags={'use_tpu': True},
  ).params
  assert params.architecture.use_bfloat16
  for use_tpu in (True, False):
    directory = tmp_path_factory.mktemp('export')
    saved_model.write(
      tiny_export.request_of(
        resnet_model, params=params, input_type='image_bytes', use_tpu=use_tpu
      ),
      str(directory),
    )
    directories[use_tpu] = str(directory)
  return directories


_BFLOAT16 = {'use_bfloat16': True, 'output_flat_fpn_features': True}


def _meta_graphs(directory):
  content = saved_model_pb2.SavedModel()
  with open(directory + '/saved_model.pb', 'rb') as source:
    content.ParseFromString(source.read())
  return content.meta_graphs


@pytest.mark.slow
def test_saved_model_cli_lists_both_tag_sets(written):
  show = subprocess.run(
    [*programs.PYTHON, '-m', 'tensorflow.python.tools.saved_model_cli']
    + ['show', '--dir', written[True], '--all'],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    universal_newlines=True,
  )
  assert show.returncode == 0, show.stderr
  for tags in ("'serve'", "'serve, tpu'"):
    assert f'MetaGraphDef with tag-set: {tags} ' in show.stdout
  assert show.stdout.count("signature_def['serving_default']") == 2
  assert show.stdout.count('name: DetectionBoxes:0') == 2


def test_network_is_in_the_tpus_cluster_and_decoding_on_the_host(written):
  cpu, tpu = _meta_graphs(written[True])
  assert list(tpu.meta_info_def.tags) == ['serve', 'tpu']
  assert (
    cpu.signature_def['serving_default']
    == (tpu.signature_def['serving_default'])
  )
  host = collections.Counter(node.op for node in tpu.graph_def.node)
  assert host['TPUPartitionedCall'] == 1
  assert host['DecodeJpeg'] == 1
  assert not host['Conv2D']
  assert 'RawFpnFeatures' in {node.name for node in tpu.graph_def.node}
  (function,) = tpu.graph_def.library.function
  cluster = [
    node for node in function.node_def if '_tpu_replicate' in node.attr
  ]
  assert len({node.attr['_tpu_replicate'].s for node in cluster}) == 1
  ops = collections.Counter(node.op for node in cluster)
  assert ops['TPUReplicateMetadata'] == 1
  convolutions = [node for node in cluster if node.op == 'Conv2D']
  assert ops['Conv2D'] == sum(n.op == 'Conv2D' for n in cpu.graph_def.node)
  # NMS is compiled, too; nothing is left of the place that is cut.
  assert ops['TopKV2'] > 0 and ops['Placeholder'] == 0
  types = {node.attr['T'].type for node in convolutions}
  assert types == {tf.bfloat16.as_datatype_enum}
  # No TPU, no bfloat16.
  on_cpu = {n.attr['T'].type for n in cpu.graph_def.node if n.op == 'Conv2D'}
  assert on_cpu == {tf.float32.as_datatype_enum}


def test_variables_are_shared(written):
  cpu, tpu = (
    {n.name for n in meta_graph.graph_def.node if n.op == 'VarHandleOp'}
    for meta_graph in _meta_graphs(written[True])
  )
  assert cpu == tpu
  reader = tf.train.load_checkpoint(written[True] + '/variables/variables')
  assert set(reader.get_variable_to_shape_map()) == cpu
  assert 'resnet10/conv2d/kernel' in cpu


def test_meta_graph_for_cpus_runs(written):
  fed = [record_factory.encode(record_factory.pixels(50, 70))]
  results = {}
  for use_tpu, directory in written.items():
    with tf.Graph().as_default(), tf.Session() as session:
      tf.saved_model.loader.load(session, ['serve'], directory)
      results[use_tpu] = session.run(
        ['NumDetections:0', 'DetectionBoxes:0', 'DetectionScores:0'],
        {'Placeholder:0': fed},
      )
  assert results[True][0][0] > 0
  for value, other in zip(*results.values()):
    np.testing.assert_array_equal(value, other)
