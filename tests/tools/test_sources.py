"""Annotations of other tools are recognised, and nothing gets lost unsaid."""

import json
import re

import pytest
from PIL import Image
from pycocotools import mask as mask_lib

from tests import programs
from tests.tools import annotated_images, malformed_sources, source_folders
from tools.record_sources import detection_records, sources
from tools.record_sources import report as report_lib
from utils import errors


@pytest.fixture
def folder(tmp_path):
  folder = tmp_path / 'in'
  folder.mkdir()
  return folder


def _make(source, changes, folder):
  """Path of a source with some files that are others, or gone: None."""
  path = source_folders.SOURCES[source](folder)
  root = path if path.is_dir() else folder
  for name, content in changes.items():
    if content is None:
      (root / name).unlink()
    else:
      source_folders.write(root, {name: content})
  return path


def _read(path, report=None, image_dir=None, source=None, **wanted):
  return sources.read(
    sources.recognise(str(path), source),
    image_dir and str(image_dir),
    report or report_lib.Report(),
    **wanted,
  )


def _boxes(coco):
  """{name of the image, without folder and suffix: [(class, bbox), ...]}."""
  names = {entry['id']: entry['name'] for entry in coco['categories']}
  found = {}
  for image in coco['images']:
    path = image['file_name'].replace('\\', '/')
    found[path.split('/')[-1].split('.')[0]] = [
      (names[entry['category_id']], pytest.approx(entry['bbox']))
      for entry in coco['annotations']
      if entry['image_id'] == image['id']
    ]
  return found


@pytest.mark.parametrize('name', source_folders.SOURCES)
def test_every_source_gives_the_same_boxes(name, folder, tmp_path):
  path = source_folders.SOURCES[name](folder)
  assert sources.recognise(str(path)).source == name.split()[0]
  report = report_lib.Report()
  annotated = _read(path, report, split='train')
  prefix = '/m/' if name == 'open_images' else ''
  names = {1: prefix + 'cat', 2: prefix + 'dog'}
  assert annotated.label_map == names
  written = annotated_images.convert(annotated, report, tmp_path)
  assert _boxes(written.coco) == {
    'pet_03': [(names[2], [4, 3, 16, 15])],
    'pet_11': [(names[1], [0, 0, 40, 30])],
  }
  assert report.num_problems == 0
  assert sorted(image['id'] for image in written.coco['images']) == (
    [0, 1]
    if name == 'coco of Label Studio'
    else [1, 2]
    if name == 'coco of CVAT'
    else [3, 11]
  )


@pytest.mark.parametrize(
  'source, changes, kinds, message, num_03, num_11', malformed_sources.CASES
)
def test_what_is_malformed_is_counted_and_named(
  source, changes, kinds, message, num_03, num_11, folder, tmp_path
):
  path = _make(source, changes, folder)
  report = report_lib.Report()
  annotated = _read(path, report)
  written = annotated_images.convert(annotated, report, tmp_path)
  found = {k: len(boxes) for k, boxes in _boxes(written.coco).items()}
  expected = {'pet_03': num_03, 'pet_11': num_11}
  assert found == {k: v for k, v in expected.items() if v is not None}
  assert {kind: report.count(kind) for kind in report.as_dict()} == kinds
  if kinds:
    (entry,) = report.as_dict().values()
    told = '{file}: {detail}'.format(**entry['findings'][0])
    assert re.search(message, told), told
    assert len(told.splitlines()) == 1 and len(told) < 300


@pytest.mark.parametrize('source', ['yolo', 'labelme'])
def test_polygons_become_masks(source, folder, tmp_path):
  path = source_folders.SOURCES[source](folder)
  # The lower left half of [4, 3, 20, 18].
  corners = [[4, 3], [20, 18], [4, 18]]
  shares = ' '.join(f'{x / 40} {y / 30}' for x, y in corners)
  shapes = [{'label': 'dog', 'points': corners}]
  content = {'shapes': shapes, 'imagePath': '../photos/pet_03.jpg'}
  if source == 'yolo':
    source_folders.write(folder, {malformed_sources.YOLO: '1 ' + shares})
  else:
    source_folders.write(path, {'pet_03.json': json.dumps(content)})
  report = report_lib.Report()
  kind = detection_records.DetectionRecords(include_masks=True)
  written = annotated_images.convert(
    _read(path, report), report, tmp_path, kind=kind
  )
  (entry,) = [a for a in written.coco['annotations'] if a['image_id'] == 3]
  assert entry['bbox'] == pytest.approx([4, 3, 16, 15])
  mask = mask_lib.decode(entry['segmentation'])
  assert mask[16, 5] == 1 and mask[5, 18] == 0
  assert mask.sum() == pytest.approx(16 * 15 / 2, abs=16)


def test_groups_of_open_images_are_crowds_and_codes_have_names(
  folder, tmp_path
):
  path = source_folders.open_images(folder)
  rows = f'pet_03,x,{malformed_sources.PLACE},1\npet_11,x,/m/cow,1,0,1,0,1,0\n'
  source_folders.write(folder, malformed_sources.open_images(rows))
  names = tmp_path / 'names.csv'
  names.write_text('/m/dog,Dog\n/m/cat,"Cat, domestic"\nx\n\n')
  report = report_lib.Report()
  annotated = _read(path, report, class_names=str(names))
  assert annotated.label_map == {1: 'Cat, domestic', 2: 'Dog'}
  pet_03, pet_11 = annotated.images
  assert [box.is_crowd for box in pet_03.boxes] == [False, True]
  assert [box.class_name for box in pet_11.boxes] == ['Cat, domestic']
  (unknown,) = report.as_dict()['unknown_class']['findings']
  assert unknown['detail'] == f"line 5: class '/m/cow' is not in {names}"


def test_boxes_of_a_phone_photo_are_of_the_upright_picture(folder, tmp_path):
  path = source_folders.yolo(folder)
  turned = Image.Exif()
  turned[0x0112] = 6
  annotated_images.save_image(
    folder / 'images/train/pet_03.jpg', exif=turned.tobytes()
  )
  report = report_lib.Report()
  written = annotated_images.convert(_read(path, report), report, tmp_path)
  # Stored as 40x30, 30x40 upright.
  assert _boxes(written.coco)['pet_03'] == [('dog', [3, 4, 12, 20])]


@pytest.mark.parametrize(
  'name, stems',
  [
    ('train', ['pet_03', 'pet_11']),
    ('val', ['pet_05']),
    ('valid', ['pet_05']),
    ('all', ['pet_03', 'pet_05', 'pet_11']),
  ],
)
@pytest.mark.parametrize('has_yaml', [True, False])
def test_a_split_is_found_by_its_name(name, stems, has_yaml, folder):
  source_folders.yolo_of_roboflow(folder)
  for path in (folder / 'valid').glob('*/*'):
    path.unlink()
  annotated_images.save_image(folder / 'valid/images/pet_05.jpg')
  source_folders.write(
    folder, {'valid/labels/pet_05.txt': malformed_sources.LINE}
  )
  if not has_yaml:
    (folder / 'data.yaml').unlink()
    source_folders.write(folder, {'classes.txt': 'cat\ndog\n'})
  annotated = _read(folder, split=name)
  names = [image.file_name for image in annotated.images]
  assert sorted(re.findall(r'pet_\d\d', ' '.join(names))) == stems


@pytest.mark.parametrize('place', ['images', 'elsewhere'])
def test_splits_below_image_dir_are_not_mixed_unsaid(place, folder):
  source_folders.yolo(folder)
  (folder / 'images/val').mkdir()
  annotated_images.save_image(folder / 'images/val/pet_05.jpg')
  source_folders.write(
    folder, {'labels/val/pet_05.txt': malformed_sources.LINE}
  )
  (folder / 'images').rename(folder / place)
  for split in ('val', 'valid'):
    (image,) = _read(folder, image_dir=folder / place, split=split).images
    assert image.file_name == 'val/pet_05.jpg' and len(image.boxes) == 1
  report = report_lib.Report()
  train = _read(folder, report, folder / place / 'train', split='train')
  assert len(train.images) == 2 and 'joined_splits' not in report.as_dict()
  assert len(_read(folder, report, folder / place, split='all').images) == 3
  (joined,) = report.as_dict()['joined_splits']['findings']
  assert joined['detail'] == 'train, val'


@pytest.mark.parametrize('source', ['yolo', 'csv', 'open_images', 'labelme'])
def test_names_in_any_script_and_paths_of_windows(source, folder, tmp_path):
  path = source_folders.SOURCES[source](folder)
  stem = 'größe 猫 7'
  for old in folder.glob('**/pet_03.*'):
    old.rename(old.with_name(stem + old.suffix))
  for table in folder.glob('**/*.[cj]s*'):
    text = table.read_text().replace('dog', '犬 é')
    prefix = 'D:\\\\ünï\\\\' if source == 'csv' else ''
    table.write_text(text.replace('pet_03', prefix + stem))
  report = report_lib.Report()
  written = annotated_images.convert(_read(path, report), report, tmp_path)
  ((name, box),) = _boxes(written.coco)[stem]
  assert name == {'yolo': 'dog', 'open_images': '/m/犬 é'}.get(source, '犬 é')
  assert box == [4, 3, 16, 15]
  assert report.num_problems == 0


@pytest.mark.parametrize(
  'name', [name for name in source_folders.SOURCES if 'yolo' in name]
)
def test_images_may_lie_apart_from_the_labels(name, folder, tmp_path):
  path = source_folders.SOURCES[name](folder)
  for picture in folder.glob('**/*.jpg'):
    picture.unlink()
  source_folders.save_images(tmp_path / 'photos')
  annotated = _read(path, image_dir=tmp_path / 'photos', split='train')
  assert [len(image.boxes) for image in annotated.images] == [1, 1]
  assert [image.source_id for image in annotated.images] == [3, 11]


def test_a_folder_beside_pictures_is_no_split(folder):
  source_folders.yolo_of_label_studio(folder)
  annotated_images.save_image(folder / 'images/pet_03.png')
  (folder / 'images/previews').mkdir()
  names = [image.file_name for image in _read(folder, split='val').images]
  assert names == [
    f'images/pet_{end}' for end in ('03.jpg', '03.png', '11.jpg')
  ]


def test_the_split_of_a_voc_folder_is_that_of_its_lists(folder):
  source_folders.voc_of_cvat(folder)
  # One split of whatever name stands for any, but not train for val.
  assert len(_read(folder, split='mine').images) == 2
  lists = folder / 'ImageSets/Main'
  (lists / 'default.txt').rename(lists / 'train.txt')
  with pytest.raises(errors.DataError, match="into train; it has no 'val'"):
    _read(folder, split='val')
  source_folders.write(
    lists, {'val.txt': 'pet_11\n', 'dog_val.txt': 'pet_03 1\npet_11 -1\n'}
  )
  (image,) = _read(folder, split='val').images
  assert image.file_name == 'pet_11.jpg'
  report = report_lib.Report()
  assert len(_read(folder, report, split='all').images) == 2
  (joined,) = report.as_dict()['joined_splits']['findings']
  assert joined['detail'] == 'train, val' and not report.num_problems
  with pytest.raises(errors.DataError, match='into train, val; .*--name=all'):
    _read(folder, split='mine')


@pytest.mark.parametrize(
  'source, changes, message',
  [
    ('yolo', {'data.yaml': 'train: images/train\n'}, 'names.*classes.txt'),
    ('yolo', {'data.yaml': 'names: [cat, cat]\n'}, "class 1 is 'cat'.*another"),
    ('yolo', {'data.yaml': 'names: {a: cat}\n'}, "class 'a' is 'cat'"),
    ('yolo', {'data.yaml': 'names: [[cat], dog]\n'}, "class 0 is \\['cat'\\]"),
    ('yolo', {'data.yaml': '\n'}, 'names.*classes.txt'),
    ('yolo', {'data.yaml': 'names: [cat\n'}, 'data.yaml: .*line 2'),
    ('yolo', {'data.yaml': b'names: [\xe9]'}, 'data.yaml: .*Save it as UTF-8'),
    (
      'yolo',
      {'data.yaml': 'names: [a, b]\ntrain: D:\\x\\train2\n'},
      r"data.yaml names 'D:\\\\x\\\\train2', but there is no .*--image_dir",
    ),
    (
      'yolo',
      {
        malformed_sources.YOLO: None,
        malformed_sources.YOLO.replace('03', '11'): None,
      },
      'none of the 2 images .* has a label file: labels/NAME.txt',
    ),
    ('csv', {'labels.csv': source_folders.CSV.encode() + b'\xe9'}, 'as UTF-8'),
    (
      'open_images',
      {'train-annotations-bbox.csv': source_folders.OPEN_IMAGES[:65]},
      'none of its 0 boxes is of one of the 2 pictures',
    ),
  ],
)
def test_a_source_that_cannot_be_used_is_refused(
  source, changes, message, folder
):
  path = _make(source, changes, folder)
  with pytest.raises(errors.DataError, match=message) as caught:
    _read(path, split='train')
  assert str(folder) in str(caught.value)


def test_what_is_not_recognised_is_told_with_what_would_be(folder):
  source_folders.save_images(folder)
  source_folders.write(folder, {'tasks.json': '[{"id": 1}]', 'README': ''})
  with pytest.raises(errors.DataError) as caught:
    sources.recognise(str(folder))
  told = str(caught.value)
  for source in sources.SOURCES:
    assert f'{source}: ' in told
  with pytest.raises(errors.DataError, match='does not exist'):
    sources.recognise(str(folder / 'none'))
  # Of a file, its reader tells what is missing.
  source_folders.write(folder, {'a.csv': 'a;b\n1;2\n', 'b.csv': ''})
  for name, message in (
    ('a.csv', r"columns filename, .* has \['a', 'b'\]"),
    ('b.csv', r"columns filename, .* has \[''\]"),
    ('tasks.json', "not a COCO .*'images'"),
    ('README', 'no annotations were recognised'),
  ):
    with pytest.raises(errors.DataError, match=message):
      _read(folder / name)


def test_of_two_sources_that_fit_one_has_to_be_chosen(folder):
  source_folders.yolo_in_one_folder(folder)
  source_folders.write(folder, {'labels.csv': source_folders.CSV})
  with pytest.raises(errors.DataError, match=r'yolo \(.*csv \(.*--source'):
    sources.recognise(str(folder))
  assert len(_read(folder, source='csv').images) == 2
  assert _read(folder, source='yolo').images[0].is_normalized


def test_the_program_takes_a_folder(folder, tmp_path):
  source_folders.yolo_of_roboflow(folder)
  result = programs.run(
    'tools/create_tf_record.py',
    f'--annotations={folder}',
    f'--output_dir={tmp_path / "out"}',
    '--name=train',
    '--strict',
  )
  assert result.returncode == 0, result.stderr
  assert f'Reading yolo annotations of {folder}' in result.stdout
  assert '2 images with 2 boxes' in result.stdout
  refused = programs.run(
    'tools/create_tf_record.py',
    *('--coco_json=a.json', '--image_dir=b', '--source=coco'),
    *(f'--output_dir={tmp_path / "out"}', '--name=train'),
  )
  assert refused.returncode == 2
  assert '--source has no effect without --annotations' in refused.stderr
