"""The files of a conversion, and the program that makes them."""

import json
from unittest import mock

import pytest

from tests import programs
from tests.tools import annotated_images, source_folders
from tools.record_sources import (
  classification_records,
  images,
  shards,
  unfinished_set,
)
from tools.record_sources import report as report_lib
from utils import errors


def test_coco_json_label_map_and_report_stand_beside_the_shards(
  voc_dirs, tmp_path
):
  report = report_lib.Report()
  annotated_images.convert(
    annotated_images.read_voc(voc_dirs, report), report, tmp_path
  )
  out = tmp_path / 'out'
  assert sorted(path.name for path in out.iterdir()) == [
    'label_map.txt',
    'train-00000-of-00001.tfrecord',
    'train.json',
    'train_report.json',
  ]
  assert (out / 'label_map.txt').read_text().splitlines() == ['1:cat', '2:dog']
  content = json.loads((out / 'train.json').read_text())
  assert content['categories'] == [
    {'id': 1, 'name': 'cat'},
    {'id': 2, 'name': 'dog'},
  ]
  assert content['images'] == [
    {'id': 3, 'file_name': 'pet_03.jpg', 'width': 40, 'height': 30},
    {'id': 11, 'file_name': 'pet_11.jpg', 'width': 40, 'height': 30},
  ]
  assert content['annotations'][0] == {
    'id': 1,
    'image_id': 3,
    'category_id': 2,
    'bbox': [4.0, 3.0, 16.0, 15.0],
    'area': 240.0,
    'iscrowd': 0,
  }
  summary = json.loads((out / 'train_report.json').read_text())
  assert summary['boxes_by_class'] == {'cat': 1, 'dog': 1}
  assert summary['findings'] == {}


def test_a_failure_leaves_no_shard_behind(tmp_path):
  with pytest.raises(RuntimeError), unfinished_set.hidden_folder(
    str(tmp_path), ['train'], []
  ) as folder:
    with shards.ShardedWriter(folder + '/train', 2) as writer:
      for _ in range(3):
        writer.write(b'record')
      raise RuntimeError
  assert list(tmp_path.iterdir()) == []


def test_an_earlier_run_is_only_replaced_when_told(voc_dirs, tmp_path):
  report = report_lib.Report()
  annotated = annotated_images.read_voc(voc_dirs, report)
  annotated_images.convert(annotated, report, tmp_path, num_shards=2)
  with pytest.raises(errors.DataError, match='2 shards'):
    annotated_images.convert(annotated, report, tmp_path, num_shards=1)
  annotated_images.convert(
    annotated, report, tmp_path, num_shards=1, overwrite=True
  )
  names = sorted(path.name for path in (tmp_path / 'out').glob('*.tfrecord'))
  assert names == ['train-00000-of-00001.tfrecord']


@pytest.mark.parametrize('kind', ['boxes', 'crops'])
def test_number_of_threads_does_not_show(kind, tmp_path):
  folder = tmp_path / 'voc'
  folder.mkdir()
  for number in range(30):
    annotated_images.save_image(folder / f'{number}.png', 40 + number)
    name = ('cat', 'dog')[number % 2]
    box = annotated_images.voc_object(name, 2, 3, 20 + number, 18)
    annotated_images.write_xml(
      *(folder, str(number), box, f'{number}.png', (40 + number, 30))
    )
  contents = []
  for threads in (1, 7):
    report = report_lib.Report()
    out = tmp_path / str(threads)
    kinds = {'crops': classification_records.CropRecords(0.1)}
    with mock.patch.object(images, '_NUM_THREADS', threads):
      annotated_images.convert(
        annotated_images.read_voc((folder, folder), report),
        report,
        out,
        num_shards=4,
        kind=kinds.get(kind),
      )
    contents.append(
      {path.name: path.read_bytes() for path in (out / 'out').iterdir()}
    )
  assert len(contents[0]) == 7 and contents[0] == contents[1]


def test_splits_must_agree_on_the_classes(voc_dirs, tmp_path):
  report = report_lib.Report()
  annotated = annotated_images.read_voc(voc_dirs, report)
  annotated_images.convert(annotated, report, tmp_path, 'train')
  others = annotated._replace(label_map={1: 'dog', 2: 'cat'})
  for overwrite in (False, True):
    with pytest.raises(errors.DataError) as caught:
      annotated_images.convert(
        others, report, tmp_path, 'val', overwrite=overwrite
      )
    assert '1:cat, 2:dog, this split has 1:dog, 2:cat' in str(caught.value)
    assert '--overwrite' not in str(caught.value)
  # Without other splits, nothing else refers to the old classes.
  annotated_images.convert(others, report, tmp_path, 'train', overwrite=True)
  with pytest.raises(errors.DataError, match='ids start at 1'):
    annotated_images.convert(
      annotated._replace(label_map={0: 'cat'}), report, tmp_path, 'new'
    )


def _run_program(*args):
  return programs.run('tools/create_tf_record.py', *args)


def test_strict_turns_problems_into_exit_code_1(voc_dirs, tmp_path):
  (voc_dirs[1] / 'pet_03.jpg').unlink()
  args = [
    '--voc_annotation_dir={}'.format(voc_dirs[0]),
    '--image_dir={}'.format(voc_dirs[1]),
    '--output_dir={}'.format(tmp_path / 'out'),
    '--name=train',
  ]
  lenient = _run_program(*args)
  assert lenient.returncode == 0, lenient.stderr
  assert 'pet_03.jpg' in lenient.stdout
  assert '1 images with 1 boxes' in lenient.stdout
  assert "out/train-*.tfrecord' --num_classes=3" in lenient.stdout
  assert _run_program(*args, '--overwrite', '--strict').returncode == 1

  refused = _run_program(*args)
  assert refused.returncode == 1
  assert '--overwrite' in refused.stderr
  assert 'Traceback' not in refused.stderr


def test_a_split_has_files_of_its_own_and_one_label_map(tmp_path):
  folder = tmp_path / 'voc'
  folder.mkdir()
  for number in range(10):
    annotated_images.save_image(folder / f'{number}.jpg')
    box = annotated_images.voc_object('cat', 4, 3, 20, 18 + 3 * number)
    dog = annotated_images.voc_object('dog', 4, 3, 20, 18)
    annotated_images.write_xml(
      folder, str(number), box + (dog if number == 3 else '')
    )
  args = [
    f'--voc_annotation_dir={folder}',
    f'--image_dir={folder}',
    '--output_dir={}'.format(tmp_path / 'out'),
    '--num_shards=1',
  ]
  run = _run_program(*args, '--split=0.8,0.2', '--name=train,val')
  assert run.returncode == 0, run.stderr
  assert '8 images with 9 boxes' in run.stdout
  assert '2 images with 2 boxes' in run.stdout
  out = tmp_path / 'out'
  assert f'Next: python tools/new_config.py {out} --minutes=15' in run.stdout
  assert sorted(path.name for path in out.iterdir()) == [
    'label_map.txt',
    'train-00000-of-00001.tfrecord',
    'train.json',
    'train_report.json',
    'val-00000-of-00001.tfrecord',
    'val.json',
    'val_report.json',
  ]
  assert (out / 'label_map.txt').read_text().splitlines() == ['1:cat', '2:dog']
  clipped = 0
  for name, count in (('train', 8), ('val', 2)):
    content = json.loads((out / f'{name}.json').read_text())
    assert [c['name'] for c in content['categories']] == ['cat', 'dog']
    own = {image['file_name'] for image in content['images']}
    assert len(own) == count
    findings = json.loads((out / f'{name}_report.json').read_text())['findings']
    found = findings.get('box_clipped', {'findings': []})['findings']
    assert {finding['file'] for finding in found} <= own
    clipped += len(found)
  assert clipped == 5
  for wrong in (
    ('--split=0.8,0.2', '--name=train'),
    ('--split=0.8,0.1', '--name=train,val'),
    ('--name=train,val',),
    ('--name=a', '--split_seed=1'),
  ):
    refused = _run_program(*args, *wrong)
    assert refused.returncode == 2, wrong
    assert '--split' in refused.stderr
    told = '--name=train, then --name=val.' in refused.stderr
    assert told == (wrong == ('--name=train,val',))


@pytest.mark.parametrize(
  'flag', ['--voc_split_file=a', '--voc_one_based', '--class_names=a']
)
def test_a_flag_of_another_source(flag, tmp_path):
  source_folders.yolo(tmp_path)
  refused = _run_program(
    *(f'--annotations={tmp_path}', f'--output_dir={tmp_path}/out'),
    *('--name=train', flag),
  )
  assert refused.returncode == 2
  name, source = flag.split('=')[0], 'open_images' if 'cl' in flag else 'voc'
  assert f'{name} is for {source} alone, but {tmp_path} is yolo.' in (
    refused.stderr
  )
