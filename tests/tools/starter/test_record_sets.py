import pytest

from tools.starter import record_sets
from utils import errors


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
  assert record_sets.find(folder) == record_sets.RecordSets(
    train_file_pattern=f'{folder}/train-*-of-00002.tfrecord',
    eval_file_pattern=f'{folder}/val-*-of-00002.tfrecord',
    val_json_file=f'{folder}/val.json',
    label_map_file=f'{folder}/label_map.txt',
  )


def test_single_files_and_what_is_absent(tmp_path):
  folder = _folder(tmp_path, 'training.record', 'test.record')
  assert record_sets.find(folder) == record_sets.RecordSets(
    f'{folder}/training.record', f'{folder}/test.record', '', ''
  )


def test_a_pattern_and_names(tmp_path):
  folder = _folder(
    tmp_path, 'a.tfrecord', 'b.tfrecord', 'test.tfrecord', 'test.json'
  )
  found = record_sets.find(f'{folder}/[ab].tfrecord')
  assert found.train_file_pattern == f'{folder}/[ab].tfrecord'
  assert found.val_json_file == f'{folder}/test.json'
  found = record_sets.find(f'{folder}/a.tfrecord', f'{folder}/b.tfrecord')
  # The annotations there are those of other images.
  assert found[1:3] == (f'{folder}/b.tfrecord', '')


@pytest.mark.parametrize(
  'names, message',
  [
    (['train.tfrecord'], 'no records of evaluation.*--eval_file_pattern'),
    (['train.tfrecord'], '--split=0.8,0.2'),
    (['val.tfrecord'], 'no records of training.*a pattern in place'),
    (['train.txt', 'train-0-of-1.tmp'], 'no records of training'),
    (
      ['train-0-of-2.tfrecord', 'train-0-of-3.tfrecord'],
      "several sets of records called 'train'",
    ),
  ],
)
def test_what_is_missing_is_named(tmp_path, names, message):
  folder = _folder(tmp_path, *names)
  with pytest.raises(errors.DataError, match=message):
    record_sets.find(folder)


def test_no_folder(tmp_path):
  with pytest.raises(errors.ConfigError, match='is no folder of records'):
    record_sets.find(f'{tmp_path}/absent/')
