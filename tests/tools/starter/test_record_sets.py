import pytest

from tools.starter import record_sets
from utils import errors

_NOTHING = dict.fromkeys(record_sets.GIVEN)


def _folder(tmp_path, *names):
  for name in names:
    (tmp_path / name).write_text('x')
  return str(tmp_path)


def test_what_create_tf_record_writes(tmp_path):
  folder = _folder(
    tmp_path,
    *(f'{s}-0000{i}-of-00002.tfrecord' for s in ('train', 'val') for i in '01'),
    *('extra-00000-of-00001.tfrecord', 'train.json', 'val.json'),
    *('label_map.txt', 'val_report.json'),
  )
  assert record_sets.find(folder, _NOTHING) == record_sets.RecordSets(
    train_file_pattern=f'{folder}/train-*-of-00002.tfrecord',
    eval_file_pattern=f'{folder}/val-*-of-00002.tfrecord',
    val_json_file=f'{folder}/val.json',
    label_map_file=f'{folder}/label_map.txt',
    unused=['extra'],
  )


def test_single_files_and_what_is_absent(tmp_path):
  folder = _folder(tmp_path, 'training.record', 'test.record')
  assert record_sets.find(folder, _NOTHING) == record_sets.RecordSets(
    f'{folder}/training.record', f'{folder}/test.record', '', '', []
  )


def test_a_pattern_and_names(tmp_path):
  folder = _folder(
    tmp_path, 'a.tfrecord', 'b.tfrecord', 'test.tfrecord', 'test.json'
  )
  found = record_sets.find(f'{folder}/[ab].tfrecord', _NOTHING)
  assert found.train_file_pattern == f'{folder}/[ab].tfrecord'
  assert found.val_json_file == f'{folder}/test.json'
  named = {**_NOTHING, 'eval_file_pattern': f'{folder}/b.tfrecord'}
  found = record_sets.find(f'{folder}/a.tfrecord', named)
  # The annotations there are those of other images.
  assert found[1:3] == (f'{folder}/b.tfrecord', '')


@pytest.mark.parametrize(
  'names, message',
  [
    (['train.tfrecord'], "no records of eval_file_pattern: there are 'train'"),
    (['train.tfrecord'], '--split=0.8,0.2'),
    (['val.tfrecord'], 'no records of train_file_pattern'),
    (['notes.txt'], 'there are none'),
    (
      ['train-0-of-2.tfrecord', 'train-0-of-3.tfrecord'],
      "two sets of records called 'train'",
    ),
  ],
)
def test_what_is_missing_is_named(tmp_path, names, message):
  folder = _folder(tmp_path, *names)
  with pytest.raises(errors.DataError, match=message):
    record_sets.find(folder, _NOTHING)


def test_no_folder(tmp_path):
  with pytest.raises(errors.ConfigError, match='is no folder of records'):
    record_sets.find(f'{tmp_path}/absent/', _NOTHING)
