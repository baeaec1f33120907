"""Folders of pictures, and boxes, become records of a classifier."""

import collections
import io
import json
import os

import numpy as np
import pytest
from PIL import Image

from tests import programs
from tests.tools import annotated_images
from tools.record_sources import (
  class_folders,
  classification_records,
  coco,
  conversion,
)
from tools.record_sources import report as report_lib
from utils import errors


@pytest.fixture
def pictures(tmp_path):
  """Three cats, of which one is a PNG with transparency, and two dogs."""
  folder = tmp_path / 'pictures'
  for name in ('dog/1.jpg', 'dog/2.jpg', 'cat/a.jpg', 'cat/b.jpeg'):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    annotated_images.save_image(folder / name)
  pixels = np.full([12, 20, 4], 90, np.uint8)
  pixels[:, 10:, 0] = 200
  Image.fromarray(pixels).save(str(folder / 'cat' / 'c.png'))
  return folder


def _convert(folder, out, report, label_map=None, name='train', **options):
  annotated = class_folders.read_class_folders(str(folder), report, label_map)
  return conversion.convert(
    {name: annotated},
    report,
    str(out),
    num_shards=2,
    kind=classification_records.ClassificationRecords(),
    **options,
  )[name]


def _findings(report):
  return {
    kind: [found['file'] for found in entry['findings']]
    for kind, entry in report.as_dict().items()
  }


def _by_file(written):
  return {
    annotated_images.values(example, 'image/filename')[0].decode(): example
    for example in annotated_images.examples(written.shard_files)
  }


def _decoded(example):
  (encoded,) = annotated_images.values(example, 'image/encoded')
  image = Image.open(io.BytesIO(encoded))
  assert image.format == 'JPEG'
  return np.asarray(image, np.int32)


def test_a_folder_is_a_class(pictures, tmp_path):
  report = report_lib.Report()
  written = _convert(pictures, tmp_path / 'out', report)
  examples = _by_file(written)
  assert {
    name: annotated_images.values(example, 'image/class/label')
    for name, example in examples.items()
  } == {
    **dict.fromkeys(('cat/a.jpg', 'cat/b.jpeg', 'cat/c.png'), [1]),
    **dict.fromkeys(('dog/1.jpg', 'dog/2.jpg'), [2]),
  }
  jpeg = examples['cat/b.jpeg']
  assert sorted(jpeg.features.feature) == [
    'image/class/label',
    'image/encoded',
    'image/filename',
    'image/format',
    'image/height',
    'image/source_id',
    'image/width',
  ]
  assert annotated_images.values(jpeg, 'image/encoded') == [
    (pictures / 'cat' / 'b.jpeg').read_bytes()
  ]
  assert annotated_images.values(jpeg, 'image/source_id') == [b'2']
  assert annotated_images.values(jpeg, 'image/height') == [30]
  assert annotated_images.values(jpeg, 'image/width') == [40]

  png = examples['cat/c.png']
  assert annotated_images.values(png, 'image/format') == [b'jpeg']
  assert _decoded(png).shape == (12, 20, 3)
  for column, red in ((3, 90), (16, 200)):
    np.testing.assert_allclose(_decoded(png)[6, column], [red, 90, 90], atol=3)
  assert _findings(report) == {'made_jpeg': ['cat/c.png']}
  assert report.num_problems == 0


def test_what_stands_beside_the_shards(pictures, tmp_path):
  out = tmp_path / 'out'
  _convert(pictures, out, report_lib.Report())
  assert (out / 'label_map.txt').read_text() == '1:cat\n2:dog\n'
  summary = json.loads((out / 'train_report.json').read_text())
  assert summary['images'] == 5
  assert summary['images_by_class'] == {'cat': 3, 'dog': 2}
  listed = json.loads((out / 'train.json').read_text())
  names = {image['id']: image['file_name'] for image in listed['images']}
  assert {
    names[annotation['image_id']]: annotation['category_id']
    for annotation in listed['annotations']
  }['dog/2.jpg'] == 2


def test_classes_are_mixed_and_always_alike(tmp_path):
  for name in ('x', 'y'):
    (tmp_path / 'in' / name).mkdir(parents=True)
    for i in range(20):
      annotated_images.save_image(tmp_path / 'in' / name / f'{i}.jpg', 4, 4)
  contents = []
  for out in ('a', 'b'):
    written = _convert(tmp_path / 'in', tmp_path / out, report_lib.Report())
    contents.append(
      [path.read_bytes() for path in sorted((tmp_path / out).iterdir())]
    )
  assert contents[0] == contents[1]
  labels = [
    annotated_images.values(example, 'image/class/label')[0]
    for example in annotated_images.examples(written.shard_files)
  ]
  # Training shuffles within a small window of each file.
  assert all(5 < sum(labels[i : i + 10]) - 10 + 5 < 15 for i in (0, 10, 20, 30))


def test_every_defect_of_folders_is_reported(pictures, tmp_path):
  whole = (pictures / 'dog' / '1.jpg').read_bytes()
  (pictures / 'dog' / 'cut.jpg').write_bytes(whole[: len(whole) // 2])
  (pictures / 'dog' / 'not.jpg').write_text('no picture')
  (pictures / 'dog' / 'Thumbs.db').write_bytes(b'x')
  (pictures / 'dog' / 'more').mkdir()
  (pictures / '.git').mkdir()
  (pictures / 'notes.txt').write_text('x')
  annotated_images.save_image(pictures / 'stray.jpg')
  (pictures / 'bird').mkdir()
  report = report_lib.Report()
  written = _convert(pictures, tmp_path / 'out', report)
  assert len(written.coco['images']) == 5
  assert _findings(report) == {
    'unreadable_image': ['dog/cut.jpg'],
    'unknown_format': ['dog/not.jpg'],
    'file_without_class': ['stray.jpg'],
    'folder_in_class': ['dog/more'],
    'class_without_image': ['bird'],
    'no_picture': ['.git', 'notes.txt', 'dog/Thumbs.db'],
    'made_jpeg': ['cat/c.png'],
  }
  assert report.num_problems == 5


def test_a_label_map_of_an_earlier_split_gives_the_ids(pictures, tmp_path):
  out = tmp_path / 'out'
  _convert(pictures, out, report_lib.Report())
  (pictures / 'ant').mkdir()
  annotated_images.save_image(pictures / 'ant' / '1.jpg')
  with pytest.raises(errors.DataError, match='--label_map'):
    _convert(pictures, out, report_lib.Report(), name='val')
  report = report_lib.Report()
  names = {1: 'cat', 2: 'dog'}
  written = _convert(pictures, out, report, names, name='val')
  assert _findings(report)['unknown_folder'] == ['ant']
  (label,) = annotated_images.values(
    _by_file(written)['dog/1.jpg'], 'image/class/label'
  )
  assert label == 2


def test_folders_that_differ_in_case_alone_are_reported(pictures, tmp_path):
  (pictures / 'Cat').mkdir()
  annotated_images.save_image(pictures / 'Cat' / '1.jpg')
  report = report_lib.Report()
  written = _convert(pictures, tmp_path / 'out', report)
  assert [c['name'] for c in written.coco['categories']] == [
    *('Cat', 'cat', 'dog')
  ]
  assert _findings(report)['similar_folder'] == ['cat']


@pytest.mark.parametrize(
  'names, message',
  [
    ((), 'there is no folder in it'),
    (('a.jpg',), 'there is no folder in it'),
    (('cat/a.jpg', 'cat/b.jpg'), "All 2 images are of one class, 'cat'"),
    (('cat/a.jpg', 'dog/'), "All 1 images are of one class, 'cat'"),
    (('train/cat/a.jpg', 'train/dog/a.jpg'), 'such as train/cat'),
  ],
)
def test_folders_that_cannot_be_meant_are_refused(tmp_path, names, message):
  folder = tmp_path / 'in'
  folder.mkdir()
  for name in names:
    target = folder / name
    (target if name.endswith('/') else target.parent).mkdir(
      parents=True, exist_ok=True
    )
    if not name.endswith('/'):
      annotated_images.save_image(target)
  with pytest.raises(errors.DataError, match=message):
    _convert(folder, tmp_path / 'out', report_lib.Report())
  assert not list((tmp_path / 'out').glob('*'))


def _crop(voc_dirs, tmp_path, report, margin=0.1):
  return annotated_images.convert(
    annotated_images.read_voc(voc_dirs, report),
    report,
    tmp_path,
    kind=classification_records.CropRecords(margin),
  )


def test_a_box_becomes_a_picture_with_a_margin(voc_dirs, tmp_path):
  report = report_lib.Report()
  written = _crop(voc_dirs, tmp_path, report)
  by_file = _by_file(written)
  dog = by_file['pet_03.jpg']
  assert annotated_images.values(dog, 'image/class/label') == [2]
  # 4, 3, 20, 18, and a tenth of 16 and 15 on each edge.
  crop = np.asarray(Image.open(str(voc_dirs[1] / 'pet_03.jpg')), np.int32)
  crop = crop[2:20, 2:22]
  assert annotated_images.values(dog, 'image/height') == [18]
  assert annotated_images.values(dog, 'image/width') == [20]
  assert np.abs(_decoded(dog) - crop).mean() < 3
  # The cat fills its image, beyond which there is nothing.
  assert _decoded(by_file['pet_11.jpg']).shape == (30, 40, 3)
  assert [image['crop'] for image in written.coco['images']] == [
    [2, 2, 20, 18] if image['file_name'] == 'pet_03.jpg' else [0, 0, 40, 30]
    for image in written.coco['images']
  ]
  assert report.as_dict() == {}


def test_boxes_that_make_no_picture_are_reported(voc_dirs, tmp_path):
  annotated_images.write_xml(
    voc_dirs[0],
    'pet_20',
    annotated_images.voc_object('cat', 100, 20, 120, 25)
    + annotated_images.voc_object('cat', 5, 5, 5, 9)
    + annotated_images.voc_object('cat', 5, 5, 30, 12)
    + annotated_images.voc_object('cat', 10, 5, 45, 25)
    + annotated_images.voc_object('dog', 2, 2, 20, 20, difficult=1),
    filename='pet_20.png',
  )
  annotated_images.save_image(voc_dirs[1] / 'pet_20.png')
  report = report_lib.Report()
  written = _crop(voc_dirs, tmp_path, report, margin=0.0)
  assert conversion.count_by_class(written.coco) == {'cat': 2, 'dog': 1}
  assert {kind: report.count(kind) for kind in report.as_dict()} == {
    'box_without_area': 1,
    'box_outside_image': 1,
    'box_clipped': 1,
    'difficult': 1,
    'box_too_small': 1,
    'crowd_box': 1,
  }
  assert 'cat [5, 5, 30, 12]' in str(report.as_dict()['box_too_small'])
  assert [30, 20] in [image['crop'][2:] for image in written.coco['images']]


def test_a_set_whose_boxes_are_all_too_small_is_refused(voc_dirs, tmp_path):
  for stem in ('pet_03', 'pet_11'):
    annotated_images.write_xml(
      voc_dirs[0], stem, annotated_images.voc_object('cat', 1, 1, 6, 6)
    )
  with pytest.raises(errors.DataError) as caught:
    _crop(voc_dirs, tmp_path, report_lib.Report())
  assert str(caught.value).startswith(
    'There is no box that can be cropped. Box too small for a picture: 2'
  )
  assert not (tmp_path / 'out').exists()


def test_the_program_takes_either_source(pictures, voc_dirs, tmp_path):
  out = tmp_path / 'out'
  common = ('tools/create_tf_record.py', f'--output_dir={out}', '--name=train')
  process = programs.run(*common, f'--classification_dir={pictures}')
  assert process.returncode == 0, process.stderr
  assert '5 images in 5 files' in process.stdout
  assert 'num_classes is 3' in process.stdout

  check = ('tools/check_records.py', f'--file_pattern={out}/train-*')
  process = programs.run(*check, '--num_classes=3')
  assert process.stdout == '5 files, 5 records read, 0 problems\n'
  process = programs.run(*check, '--num_classes=2')
  assert process.returncode == 1
  assert process.stdout.count('class id 2 is outside of') == 2

  boxes = (f'--voc_annotation_dir={voc_dirs[0]}', '--crop_boxes')
  process = programs.run(
    *common, *boxes, f'--image_dir={voc_dirs[1]}', '--overwrite'
  )
  assert process.returncode == 0, process.stderr
  assert '2 images in 2 files' in process.stdout

  refused = programs.run(
    *common, f'--classification_dir={pictures}', '--crop_boxes'
  )
  assert refused.returncode != 0
  assert 'goes without it and without --crop_boxes' in refused.stderr
  refused = programs.run(*common, *boxes)
  assert 'Boxes need --image_dir' in refused.stderr
  refused = programs.run(
    *common, f'--classification_dir={pictures}', '--crop_margin=0.2'
  )
  assert '--crop_margin has no effect without --crop_boxes' in refused.stderr


def test_crops_of_bccd(tmp_path):
  bccd = os.path.join(
    os.environ.get('DETECTION_TEST_DATA', '../shared/data'), 'bccd'
  )
  if not os.path.isdir(bccd):
    pytest.skip(f'no BCCD data set at {bccd}')
  report = report_lib.Report()
  annotated = coco.read_coco(
    os.path.join(bccd, 'instances_val.json'),
    os.path.join(bccd, 'JPEGImages'),
    report,
  )
  written = conversion.convert(
    {'val': annotated},
    report,
    str(tmp_path),
    num_shards=4,
    kind=classification_records.CropRecords(0.1),
  )['val']
  expected = collections.Counter(
    box.class_name for image in annotated.images for box in image.boxes
  )
  counts = conversion.count_by_class(written.coco)
  assert counts == dict(expected)
  assert len(written.coco['images']) == sum(counts.values())
