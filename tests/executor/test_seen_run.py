"""What a run with slow input shows of itself."""

import contextlib
import io
import json
import re
import time
from unittest import mock

import pytest
import tensorflow.compat.v1 as tf

from dataloader import input_reader
from executor import runner as runner_lib
from tests import tiny_run

pytestmark = pytest.mark.slow

_STEPS, _SLEEP = 3, 0.5


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """(model_dir, what was printed) of three steps and an evaluation."""
  directory = tmp_path_factory.mktemp('seen')
  (directory / 'names.txt').write_text('1:cat\n2:dog\n')
  evaluation = {
    'num_shown_images': 5,
    'label_map_file': str(directory / 'names.txt'),
  }
  params = tiny_run.resolve(
    directory / 'model',
    tiny_run.write_data(directory),
    {
      'enable_summary': True,
      'train': {'total_steps': _STEPS},
      'eval': evaluation,
    },
  )
  batches = input_reader.InputFn.batches

  def slow(self, *args):
    def sleep(*batch):
      with tf.control_dependencies(
        [tf.py_func(lambda: time.sleep(_SLEEP), [], [], stateful=True)]
      ):
        return tf.nest.map_structure(tf.identity, batch)

    dataset = batches(self, *args)
    return dataset.map(sleep) if self._is_training else dataset

  output = io.StringIO()
  with mock.patch.object(input_reader.InputFn, 'batches', slow):
    with contextlib.redirect_stdout(output):
      runner_lib.Runner(params, profile_steps='2,3').train(True)
  return directory / 'model', output.getvalue()


def _summaries(paths):
  """{tag: {step: value of a summary}}."""
  found = {}
  for path in paths:
    for event in tf.train.summary_iterator(str(path)):
      for value in event.summary.value:
        found.setdefault(value.tag, {})[event.step] = value
  return found


def test_table_of_where_the_time_went(run):
  _, printed = run
  table = printed[printed.index('Where the time went') :]
  rows = re.findall(r'^│ (\S.*\S) +│ +([\d.]+) s │ +(\d+)% │', table, re.M)
  seconds = {name: float(value) for name, value, _ in rows}
  start, of_input, of_step, *_ = seconds.values()
  assert len(seconds) == 6
  assert sum(int(share) for _, _, share in rows) == pytest.approx(100, abs=3)
  # The first step belongs to the start.
  assert 0.5 * 2 * _SLEEP < of_input < 20 * _SLEEP
  assert start > of_step
  assert min(seconds.values()) >= 0 and seconds['evaluation'] > 0
  (speed,) = re.findall(r'images/s +│ +([\d.]+)', table)
  assert float(speed) == pytest.approx(2 * 2 / (of_input + of_step), rel=0.2)


def test_scalars_of_training(run):
  model_dir, _ = run
  found = _summaries(model_dir.glob('events*'))
  norms = found['gradient_norm']
  assert sorted(norms) == list(range(_STEPS))
  assert all(tf.make_ndarray(value.tensor) > 0 for value in norms.values())
  # With the lines of progress.
  shares = found['input_wait_share']
  assert sorted(shares) == [1, _STEPS]
  assert 0.1 < shares[_STEPS].simple_value < 1
  speeds = found['images_per_second']
  assert 0 < speeds[_STEPS].simple_value < 2 / _SLEEP * 1.5


def test_evaluations_show_classes_and_images(run):
  model_dir, printed = run
  found = _summaries((model_dir / 'eval').glob('events*'))
  assert 'Classes, boxes' not in printed
  for name in ('cat', 'dog'):
    scores = found['Precision mAP ByCategory/' + name]
    assert list(scores) == [_STEPS]
  pictures = {
    tag: values for tag, values in found.items() if tag.startswith('groundt')
  }
  assert set(pictures) == {
    f'groundtruth and detections/{100 + i}' for i in range(5)
  }
  for values in pictures.values():
    image = values[_STEPS].image
    assert (image.width, image.height) == (2 * 60 + 8, 40)
    assert image.encoded_image_string.startswith(b'\xff\xd8')


def test_trace_and_dearest_ops(run):
  model_dir, printed = run
  names = sorted(path.name for path in model_dir.glob('trace*'))
  assert names == ['trace_2.json', 'trace_3.json']
  for name in names:
    events = json.loads((model_dir / name).read_text())['traceEvents']
    ops = [event for event in events if event['ph'] == 'X']
    assert len(ops) > 500
    assert all({'name', 'ts', 'dur', 'pid', 'tid'} <= set(op) for op in ops)
    assert any('Conv2D' in op['name'] for op in ops)
  title, *_ = re.findall(r'The 20 dearest of (\d+) ops, steps 2 to 3', printed)
  assert int(title) > 500
  rows = re.findall(r'^ +(\S+) +(\w+) +([\d.]+) +([\d.]+)% *$', printed, re.M)
  times = [float(ms) for _, _, ms, _ in rows]
  assert len(rows) == 20 and times == sorted(times, reverse=True)
  # Its sleep is the input's.
  assert rows[0][1] == 'IteratorGetNext'
  assert times[0] > 500 * _SLEEP
