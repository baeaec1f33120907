"""Bad data is named: file, record, source id, reason."""

import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import input_reader, record_check, record_files
from tests import golden_numbers, record_factory
from utils import errors, mode_keys

_OK = record_factory.make_record(b'10')


def _params(**train):
  return golden_numbers.make_params(
    {
      'architecture': {'num_classes': 4},
      'retinanet_parser': {'output_size': [128, 128]},
      'train': train,
    }
  )


def _read(pattern, params, mode=mode_keys.EVAL):
  with tf.Graph().as_default(), tf.Session() as session:
    dataset = input_reader.InputFn(pattern, params, mode)({'batch_size': 2})
    fetches = tf.data.make_one_shot_iterator(dataset).get_next()
    session.run(fetches)


_BAD_RECORDS = {
  'class id 4 is outside of 1 to 3': record_factory.make_record(
    b'77', classes=[4]
  ),
  'class id 0 is outside of 1 to 3': record_factory.make_record(
    b'77', classes=[0]
  ),
  'a box is outside of': record_factory.make_record(
    b'77', boxes=[[0.1, 0.2, 0.5, 1.01]]
  ),
  'a box is outside': record_factory.make_record(
    b'77', boxes=[[float('nan'), 0.2, 0.5, 0.9]]
  ),
  'a box is inverted': record_factory.make_record(
    b'77', boxes=[[0.1, 0.6, 0.5, 0.5]]
  ),
  'the image does not decode': record_factory.make_record(
    b'77', encoded=record_factory.encode(record_factory.pixels(), 'JPEG')[:90]
  ),
  'the image does': record_factory.make_record(b'77', encoded=b''),
  'ymax holds 2 values for 1 labels': record_factory.make_record(
    b'77', object__bbox__ymax=[0.7, 0.8]
  ),
  'area holds 2 values for 1 labels': record_factory.make_record(
    b'77', object__area=[7.0, 8.0]
  ),
  'image/encoded holds 2 values, not 1': record_factory.make_record(
    b'77', encoded=[record_factory.encode(record_factory.pixels())] * 2
  ),
  'image/source_id holds 2 values, not 1': record_factory.make_record(
    [b'77', b'78']
  ),
  'area is a bytes_list, not a float_list': record_factory.make_record(
    b'77', object__area=[b'x']
  ),
}


def test_every_reason_is_found(tmp_path):
  reasons = sorted(_BAD_RECORDS)
  path = record_factory.write_records(
    tmp_path / 'a.tfrecord', [_BAD_RECORDS[reason] for reason in reasons]
  )
  problems = list(record_check.RecordChecker(4).problems([path]))
  assert [problem.record_index for problem in problems] == list(
    range(len(reasons))
  )
  for problem, reason in zip(problems, reasons):
    assert "(source id '77'): " in str(problem) and reason in str(problem)


@pytest.mark.parametrize(
  'reason', ['a box is inverted', 'the image does not decode']
)
def test_bad_record_stops_the_run_and_is_named(tmp_path, reason):
  good = record_factory.write_records(tmp_path / 'a.tfrecord', [_OK, _OK])
  bad = record_factory.write_records(
    tmp_path / 'b.tfrecord', [_OK, _BAD_RECORDS[reason]]
  )
  params = _params()
  pattern = good + ',' + bad
  with pytest.raises(tf.errors.OpError) as caught:
    with tf.Graph().as_default(), tf.Session() as session:
      dataset = input_reader.InputFn(pattern, params, mode_keys.EVAL)(
        {'batch_size': 2}
      )
      fetches = tf.data.make_one_shot_iterator(dataset).get_next()
      for _ in range(2):
        session.run(fetches)
  explained = record_check.explain_failure(pattern, params, caught.value)
  assert isinstance(explained, errors.DataError)
  assert f"'{bad}', record 1 (source id '77'): " in str(explained)
  assert reason in str(explained)


def test_the_graph_itself_names_source_id_and_values(tmp_path):
  params = _params()
  bad = record_factory.make_record(
    b'77', classes=[1, 9], boxes=[[0, 0, 1, 1]] * 2
  )
  path = record_factory.write_records(tmp_path / 'a.tfrecord', [_OK, bad])
  with pytest.raises(tf.errors.InvalidArgumentError, match=r'(?s)\[9\].*77'):
    _read(path, params)
  bad = record_factory.make_record(b'77', boxes=[[0, 0.5, 1, 0.25]])
  path = record_factory.write_records(tmp_path / 'a.tfrecord', [bad, bad])
  with pytest.raises(tf.errors.InvalidArgumentError, match=r'0\.25\].*77'):
    _read(path, params, mode_keys.TRAIN)


def test_tolerated_boxes_pass(tmp_path):
  record = record_factory.make_record(boxes=[[-0.0005, 0, 1.0005, 0]])
  path = record_factory.write_records(tmp_path / 'a.tfrecord', [record])
  _read(path, _params())
  assert not list(record_check.RecordChecker(4).problems([path]))


def test_not_a_tf_example(tmp_path):
  path = record_factory.write_records(tmp_path / 'a.tfrecord', [_OK, b'\x07hm'])
  params = _params()
  with pytest.raises(tf.errors.OpError) as caught:
    _read(path, params)
  explained = str(record_check.explain_failure(path, params, caught.value))
  assert path in explained and 'record 1' in explained
  assert 'not a tf.Example' in explained


@pytest.mark.parametrize('cut', [5, 60])
def test_truncated_file(tmp_path, cut):
  path = record_factory.write_records(tmp_path / 'a.tfrecord', [_OK, _OK])
  with open(path, 'rb') as f:
    content = f.read()
  with open(path, 'wb') as f:
    f.write(content[:-cut])
  params = _params()
  with pytest.raises(tf.errors.OpError) as caught:
    _read(path, params)
  explained = str(record_check.explain_failure(path, params, caught.value))
  assert path in explained and 'record 1' in explained
  assert 'truncated' in explained


def test_no_tfrecord_file(tmp_path):
  path = tmp_path / 'a.tfrecord'
  path.write_text('{"images": []}')
  (problem,) = record_check.RecordChecker(4).problems([str(path)])
  assert 'no TFRecord file' in problem.reason


def test_files_in_order_explain_nothing(tmp_path):
  path = record_factory.write_records(tmp_path / 'a.tfrecord', [_OK])
  error = tf.errors.InvalidArgumentError(None, None, 'Invalid JPEG data')
  assert record_check.explain_failure(path, _params(), error) is None


def test_all_problems_are_listed(tmp_path):
  records = [_OK] + list(_BAD_RECORDS.values()) + [_OK]
  path = record_factory.write_records(tmp_path / 'a.tfrecord', records)
  checker = record_check.RecordChecker(4)
  problems = list(checker.problems([path]))
  assert [p.record_index for p in problems] == list(range(1, len(records) - 1))
  assert checker.num_records == len(records)


@pytest.mark.parametrize('mode', mode_keys.ALL)
def test_missing_and_empty_files_are_named_before_the_graph_runs(
  tmp_path, mode
):
  pattern = str(tmp_path / 'none-*')
  with pytest.raises(errors.DataError, match='No file matches .*none-'):
    _read(pattern, _params(), mode)
  good = record_factory.write_records(tmp_path / 'a.tfrecord', [_OK])
  with pytest.raises(errors.DataError, match='No file matches .*none-'):
    _read(good + ',' + pattern, _params(), mode)
  (tmp_path / 'b.tfrecord').write_bytes(b'')
  with pytest.raises(errors.DataError, match=r'b\.tfrecord.* is empty'):
    _read(str(tmp_path / '*.tfrecord'), _params(), mode)
  with pytest.raises(errors.DataError, match='file_pattern'):
    _read('', _params(), mode)
  with pytest.raises(errors.DataError, match='is a folder'):
    _read(str(tmp_path), _params(), mode)


def test_comma_lists_hold_globs_and_keep_their_order(tmp_path):
  for name in ('a-1', 'a-0', 'b'):
    record_factory.write_records(tmp_path / name, [_OK])
  pattern = f'{tmp_path}/b, {tmp_path}/a-*'
  names = [f.split('/')[-1] for f in record_files.find_files(pattern)]
  assert names == ['b', 'a-0', 'a-1']


def test_broken_images_are_skipped_and_counted(tmp_path, capfd):
  records = []
  for i in range(12):
    encoded = b'\xff\xd8\xffbroken' if i % 4 == 1 else None
    records.append(record_factory.make_record(b'%d' % i, encoded))
  path = record_factory.write_records(tmp_path / 'a.tfrecord', records)
  params = _params(skip_broken_images=True, seed=1)
  seen = []
  with tf.Graph().as_default(), tf.Session() as session:
    datasets = [
      input_reader.InputFn(path, params, mode_keys.TRAIN, start_step=step)(
        {'batch_size': 3}
      )
      for step in (0, 21)
    ]
    fetches, later = (
      tf.data.make_one_shot_iterator(dataset).get_next() for dataset in datasets
    )
    batches = [session.run(fetches) for _ in range(50)]
    for _, labels in batches:
      seen.extend(labels['source_id'])
    # A training that goes on gets the very same images.
    for images, labels in batches[21:25]:
      again, again_labels = session.run(later)
      np.testing.assert_array_equal(again, images)
      np.testing.assert_array_equal(
        again_labels['source_id'], labels['source_id']
      )
  good = {i for i in range(12) if i % 4 != 1}
  # Each one once an epoch, and others in place of the broken ones.
  for epoch in range(12):
    assert set(seen[12 * epoch : 12 * epoch + 12]) == good
  counts = re.findall(
    r'skipped (\d+) images that do not decode, of (\d+)', capfd.readouterr().err
  )
  assert [int(skipped) for skipped, _ in counts[:2]] == [1, 2]
  # Of both datasets.
  assert len(counts) < 12
  # Other errors still stop the run.
  bad_box = record_factory.make_record(b'77', boxes=[[0, 0, 1, 2]])
  path = record_factory.write_records(tmp_path / 'a.tfrecord', [bad_box])
  with pytest.raises(tf.errors.InvalidArgumentError, match='outside'):
    _read(path, params, mode_keys.TRAIN)


def test_nothing_but_broken_images_ends_the_run(tmp_path, capfd):
  broken = record_factory.make_record(b'77', b'RIFF4\0\0\0WEBPVP8 ')
  path = record_factory.write_records(tmp_path / 'a.tfrecord', [broken] * 70)
  params = _params(skip_broken_images=True, train_file_pattern=path)
  with pytest.raises(tf.errors.InvalidArgumentError) as caught:
    _read(path, params, mode_keys.TRAIN)
  # Told before the end of the pass.
  assert 'skipped 64 images that do not decode, of 64' in capfd.readouterr().err
  explained = str(record_check.explain_failure(path, params, caught.value))
  assert 'train.skip_broken_images left nothing to train on' in explained
  assert path in explained and 'record 0' in explained and 'RIFF' in explained


def test_a_source_id_without_a_value_is_named(tmp_path):
  example = tf.train.Example.FromString(_OK)
  del example.features.feature['image/source_id'].bytes_list.value[:]
  path = record_factory.write_records(
    tmp_path / 'a.tfrecord', [example.SerializeToString()]
  )
  (problem,) = record_check.RecordChecker(4).problems([path])
  assert problem.reason == 'feature image/source_id holds 0 values, not 1.'
