"""Bad input, at training and at evaluation, ends with one message."""

import contextlib
import json
import os

import pytest
import tensorflow.compat.v1 as tf

from dataloader import record_check, tf_example_decoder
from executor import failures
from executor import runner as runner_lib
from tests import programs, record_factory, small_disk, tiny_export, tiny_run
from utils import errors

# The message of TensorFlow's parser would quote it, and crash Python.
_NOT_UTF8 = b'\xff\xfe no example'
_BROKEN_JPEG = b'\xff\xd8\xff no image'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
  """A checkpoint that can be evaluated."""
  return tiny_export.make(tmp_path_factory.mktemp('model'))


def _main(*arguments):
  return programs.run('main.py', *arguments)


@pytest.mark.parametrize(
  'record',
  [
    _NOT_UTF8,
    b'',
    b'{"json": true}',
    b'x' * 300,
    b'\x0a',
    b'\x0a\x05abc',
    b'\x0a\xff\xff\xff\xff\xff',
    record_factory.make_record()[:-1],
    record_factory.make_record() + b'\x12\x00',
    # An entry of a key alone, of an unknown field, and one that is cut off.
    b'\x0a\x05\x0a\x03\x0a\x01\xff',
    b'\x0a\x04\x0a\x02\x18\xff',
    b'\x0a\x04\x0a\x05\xff\xff',
  ],
  ids=range(12),
)
def test_what_is_no_example_is_an_error_of_the_graph(record):
  with tf.Graph().as_default(), tf.Session() as session:
    parsed = tf_example_decoder.TfExampleDecoder().parse(tf.constant(record))
    with pytest.raises(
      (tf.errors.InvalidArgumentError, tf.errors.DataLossError),
      match='not a tf.Example|Failed',
    ):
      session.run(parsed)


def test_examples_of_any_length_pass_the_check():
  with tf.Graph().as_default(), tf.Session() as session:
    record = tf.placeholder(tf.string, [])
    encoded = tf_example_decoder.TfExampleDecoder().parse(record)['encoded']
    # Lengths whose varints have one to four bytes.
    for size in (0, 1, 127, 128, 200, 16000, 17000, 3000000):
      image = b'x' * size
      example = record_factory.make_record(encoded=image)
      assert session.run(encoded, {record: example}) == image


@pytest.mark.slow
def test_program_names_a_record_that_is_no_example(tmp_path):
  records = tiny_run.write_data(tmp_path, bad_record=_NOT_UTF8)
  process = _main(
    '--mode=train',
    '--model_dir={}'.format(tmp_path / 'model'),
    '--params_override=' + json.dumps(tiny_run.overrides(records)),
  )
  assert process.returncode == 1
  message = process.stderr.splitlines()[-1]
  assert message.startswith('Error: train.train_file_pattern: ')
  assert (
    f"TFRecord file '{records}', record 3: it is not a tf.Example" in message
  )
  assert 'create_tf_record.py' in message
  assert 'Traceback' not in process.stderr


@pytest.mark.parametrize(
  'bad_record,words',
  [
    (_NOT_UTF8, 'record 3: it is not a tf.Example'),
    (
      record_factory.make_record(b'55', encoded=_BROKEN_JPEG),
      "record 3 (source id '55'): the image does not decode",
    ),
    (
      record_factory.make_record(b'55', classes=(9,)),
      "record 3 (source id '55'): class id 9 is outside of 1 to 2",
    ),
    (
      record_factory.make_record(b'55', boxes=((0.6, 0.2, 0.1, 0.7),)),
      "record 3 (source id '55'): a box is inverted",
    ),
  ],
  ids=['no example', 'no image', 'class id', 'box'],
)
def test_bad_record_of_an_evaluation_is_named(
  checkpoint, tmp_path, monkeypatch, bad_record, words
):
  records = tiny_run.write_data(tmp_path, bad_record=bad_record)
  params = tiny_run.resolve(
    checkpoint.directory,
    'none',
    tiny_export.SMALL,
    {'eval': {'eval_file_pattern': records, 'suffix': '_bad'}},
  )
  searched = []
  explain = record_check.explain_failure
  monkeypatch.setattr(
    record_check,
    'explain_failure',
    lambda pattern, *args: searched.append(pattern) or explain(pattern, *args),
  )
  with pytest.raises(errors.DataError) as info:
    runner_lib.Runner(params).evaluate()
  assert words in str(info.value)
  assert records in str(info.value)
  # Training data may be large; it is not what failed.
  assert set(searched) <= {records}


@pytest.mark.parametrize('content', ['no byte', 'no record', 'no file'])
def test_evaluation_set_is_looked_for_before_training(tmp_path, content):
  path = tmp_path / 'other.tfrecord'
  if content == 'no byte':
    path.write_bytes(b'')
  elif content == 'no record':
    record_factory.write_records(path, [])
  params = tiny_run.resolve(
    tmp_path / 'model',
    tiny_run.write_data(tmp_path),
    {'eval': {'eval_file_pattern': str(path)}},
  )
  with pytest.raises(errors.DataError) as info:
    runner_lib.Runner(params).train(eval_after_training=True)
  assert str(path) in str(info.value)
  assert not (tmp_path / 'model').exists()


@pytest.mark.parametrize('text', ['{"images": [', '{"a": 1}'])
def test_malformed_annotations_stop_before_training(tmp_path, text):
  path = tmp_path / 'val.json'
  path.write_text(text)
  params = tiny_run.resolve(
    tmp_path / 'model',
    tiny_run.write_data(tmp_path),
    {'eval': {'val_json_file': str(path)}},
  )
  for run in ('train_and_eval', 'evaluate'):
    with pytest.raises(errors.DataError, match='annotation file'):
      getattr(runner_lib.Runner(params), run)()
  assert not (tmp_path / 'model').exists()


@pytest.mark.parametrize('use_json_file', [True, False])
@pytest.mark.slow
def test_more_objects_than_fit_are_told_of_once(
  checkpoint, tmp_path, capfd, caplog, use_json_file
):
  boxes = [[0.01 * i, 0.1, 0.01 * i + 0.5, 0.6] for i in range(12)]
  crowded = record_factory.make_record(b'55', boxes=boxes, classes=(1,) * 12)
  params = tiny_run.resolve(
    checkpoint.directory,
    'none',
    tiny_export.SMALL,
    {
      'eval': {
        'eval_file_pattern': tiny_run.write_data(tmp_path, bad_record=crowded),
        'use_json_file': use_json_file,
        'suffix': '_crowded',
      }
    },
  )
  runner_lib.Runner(params).evaluate()
  warnings = [m for m in caplog.messages if 'more objects than' in m]
  lost = [m for m in caplog.messages if m.startswith('7 objects in 1 images')]
  # An annotation file lacks none of them.
  assert len(warnings) == len(lost) == (0 if use_json_file else 1)
  for warning in warnings:
    assert 'retinanet_parser.max_num_instances: 5' in warning
    assert '12 would hold all' in warning
  assert 'WARNING' not in capfd.readouterr().err


@pytest.mark.slow
def test_broken_images_that_are_skipped_are_counted(tmp_path, capfd):
  broken = record_factory.make_record(b'55', encoded=_BROKEN_JPEG)
  params = tiny_run.resolve(
    tmp_path / 'model',
    tiny_run.write_data(tmp_path, bad_record=broken),
    {'train': {'skip_broken_images': True, 'total_steps': 8}},
  )
  runner_lib.Runner(params).train()
  assert 'skip_broken_images: skipped' in capfd.readouterr().err


def test_model_dir_that_is_a_file_is_refused(tmp_path):
  records = tiny_run.write_data(tmp_path)
  with pytest.raises(errors.ConfigError, match='is a file'):
    runner_lib.Runner(tiny_run.resolve(records, records))


@pytest.mark.parametrize('place', ['/proc/nowhere/model', 'file/model', 'full'])
def test_model_dir_that_cannot_be_written_is_refused(tmp_path, place):
  records = tiny_run.write_data(tmp_path)
  (tmp_path / 'file').touch()
  params = tiny_run.resolve(tmp_path / place, records)
  with contextlib.ExitStack() as stack:
    if place == 'full':
      (tmp_path / 'full').mkdir()
      stack.enter_context(small_disk.mounted(tmp_path / 'full', 4096))
      (tmp_path / 'full' / 'all').write_bytes(bytes(4096))
    with pytest.raises(errors.ConfigError) as info:
      runner_lib.Runner(params)
  assert f"model_dir: nothing can be written to '{tmp_path / place}'" in str(
    info.value
  )


def test_path_that_cannot_be_written_is_named():
  with pytest.raises(OSError) as info:
    os.makedirs('/proc/nowhere/model')
  assert "'/proc/nowhere'" in str(failures.explain(info.value))


def test_program_without_a_tpu_says_so(tmp_path):
  process = _main(
    '--mode=train',
    '--use_tpu',
    '--nopreflight',
    '--tpu=grpc://127.0.0.1',
    '--model_dir={}'.format(tmp_path / 'model'),
  )
  assert process.returncode == 1
  assert 'grpc://host:port' in process.stderr
  assert '--use_tpu=False' in process.stderr
  assert 'Traceback' not in process.stderr
