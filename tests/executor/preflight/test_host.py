import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import resolver
from executor.preflight import host, sample_records, tpu_graph
from modeling import accumulation
from tests import tiny_run
from utils import errors


def _params(records, **train):
  return resolver.resolve(
    params_override=tiny_run.overrides(
      records, {'train': dict(train_batch_size=8, **train)}
    ),
    flags={'use_tpu': True},
  ).params


def _graph(*tensors, batch_size, num_replicas=1):
  return tpu_graph.TpuGraph(
    mode='train',
    graph=tensors[0].graph,
    operations=tensors[0].graph.get_operations(),
    infeed=list(tensors),
    infeed_names=[t.op.name for t in tensors],
    num_replicas=num_replicas,
    replica_batch_size=batch_size,
  )


def test_bytes_of_an_image_on_the_line_are_not_padded():
  with tf.Graph().as_default():
    graph = _graph(
      tf.placeholder(tf.bfloat16, [64, 32, 3, 4]),
      tf.placeholder(tf.int32, [4, 8]),
      batch_size=4,
    )
  assert host.bytes_per_image(graph) == 64 * 32 * 3 * 2 + 8 * 4


def test_demand_at_a_measured_step():
  with tf.Graph().as_default():
    graph = _graph(
      tf.placeholder(tf.float32, [1]), batch_size=2, num_replicas=4
    )
  demand = host.demand(_params(''), graph, 20.0)
  assert demand.step_ms == 20.0
  assert demand.images_per_second == pytest.approx(8 / 0.02)
  assert demand.source == '--step_time_ms'


def test_a_step_without_a_measurement_follows_from_multiply_adds():
  with tf.Graph().as_default():
    images = tf.placeholder(tf.float32, [1, 32, 32, 3])
    kernel = tf.placeholder(tf.float32, [3, 3, 3, 16])
    outputs = tf.nn.conv2d(images, kernel, padding='SAME')
    tf.gradients(outputs, kernel)
    graph = _graph(images, batch_size=1)
  demand = host.demand(_params(''), graph, None)
  # Forward once and backward twice, each multiply-add being two operations.
  flops = 3 * 2 * 32 * 32 * 16 * 27
  assert demand.step_ms == pytest.approx(flops / (52.5e12 * 0.4) * 1e3)
  assert 'assumed' in demand.source and '52.5' in demand.source


def test_a_step_in_parts_takes_all_of_them():
  with tf.Graph().as_default():
    images = tf.placeholder(tf.float32, [1, 32, 32, 3])
    kernel = tf.placeholder(tf.float32, [3, 3, 3, 16])
    with tf.name_scope(accumulation.SCOPE):
      outputs = tf.nn.conv2d(images, kernel, padding='SAME')
      tf.gradients(outputs, kernel)
    graph = _graph(images, batch_size=4)
  params = _params('', gradient_accumulation_steps=4)
  flops = 4 * 3 * 2 * 32 * 32 * 16 * 27
  assert host.demand(params, graph, None).step_ms == pytest.approx(
    flops / (52.5e12 * 0.4) * 1e3
  )


class _Clock:
  """Time passes while somebody looks at it: 4 seconds each time."""

  def __init__(self):
    self._seconds = 100.0

  def perf_counter(self):
    self._seconds += 4.0
    return self._seconds


def test_trial_ends_after_ten_seconds(tmp_path, monkeypatch):
  records = tiny_run.write_data(tmp_path)
  monkeypatch.setattr(host, 'time', _Clock())
  # Three batches, in 12 seconds.
  assert host.try_input(_params(records), 2).images_per_second == 0.5


def test_trial_reads_the_records_of_the_config(tmp_path, monkeypatch):
  monkeypatch.setattr(host, '_MAX_TRIAL_IMAGES', 20)
  trial = host.try_input(_params(tiny_run.write_data(tmp_path)), 2)
  assert trial.images_per_second > 0
  assert trial.num_cpus >= 1
  assert trial.note == '1 file of train.train_file_pattern'


@pytest.mark.parametrize(
  'pattern, reason', [('', 'is not set'), ('/nowhere/*', 'matches no file')]
)
def test_trial_without_records_says_so(pattern, reason, monkeypatch):
  monkeypatch.setattr(host, '_MAX_TRIAL_IMAGES', 4)
  trial = host.try_input(_params(pattern), 2)
  assert trial.images_per_second > 0
  assert 'generated images of 480 x 640' in trial.note
  assert reason in trial.note


def test_trial_names_a_bad_record(tmp_path):
  records = tiny_run.write_data(tmp_path, bad_record=b'no record')
  with pytest.raises(errors.DataError, match='set.tfrecord'):
    host.try_input(_params(records), 2)


def test_sample_records_are_photographs_of_coco_size(tmp_path):
  path = sample_records.write(str(tmp_path))
  records = list(tf.python_io.tf_record_iterator(path))
  assert len(records) == sample_records.NUM_RECORDS
  feature = tf.train.Example.FromString(records[0]).features.feature
  encoded = feature['image/encoded'].bytes_list.value[0]
  with tf.Graph().as_default(), tf.Session() as session:
    image = session.run(tf.image.decode_jpeg(encoded))
  assert image.shape == (480, 640, 3)
  # COCO's files have 160 kB in the mean.
  assert 50e3 < len(encoded) < 300e3
  ends = feature['image/object/bbox/ymax'].float_list.value
  assert np.all(np.less_equal(ends, 1.0))
