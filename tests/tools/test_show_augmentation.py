"""The contact sheet of augmented samples."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from configs import resolver
from tests import (
  classification_set,
  golden_numbers,
  programs,
  record_factory,
  segmentation_set,
)
from tools import augmentation_sheet
from utils import errors, mask_utils


def _params(**parser):
  return golden_numbers.make_params(
    {
      'architecture': {'num_classes': 4},
      'retinanet_parser': {'output_size': [128, 256], **parser},
      'train': {'seed': 1},
    }
  )


def test_the_program_writes_a_sheet(tmp_path):
  output = str(tmp_path / 'sheet.png')
  finished = programs.run(
    'tools/show_augmentation.py',
    '--file_pattern=' + golden_numbers.RECORDS,
    '--params_override=retinanet_parser.aug_policy=randaugment-2-5',
    '--output=' + output,
    '--num_images=3',
    '--num_samples=2',
    '--tile_size=100',
  )
  assert finished.returncode == 0, finished.stderr
  assert '3 images, 2 samples of each' in finished.stdout
  assert 'randaugment-2-5' in finished.stdout
  with Image.open(output) as sheet:
    assert 3 * 100 < sheet.width < 3 * 120
    pixels = np.asarray(sheet)
  assert pixels.std() > 10
  finished = programs.run(
    'tools/show_augmentation.py',
    '--data_dir=' + os.path.dirname(golden_numbers.RECORDS),
    '--params_override=train.train_file_pattern='
    + os.path.basename(golden_numbers.RECORDS),
    '--output=' + output,
    '--plain',
  )
  assert finished.returncode == 0, finished.stderr
  assert finished.stdout.endswith(' images, as stored\n')


@pytest.mark.parametrize(
  'arguments, message',
  [
    (['--file_pattern=/nosuch*'], "No file matches '/nosuch\\*'"),
    ([], '--file_pattern or train.train_file_pattern'),
    (
      [
        '--file_pattern=' + golden_numbers.RECORDS,
        '--params_override=type=mask_rcnn,maskrcnn_parser.copy_paste=true,'
        'architecture.pre_parser=extract_objects_parser,'
        'train.pre_parser_dataset.file_pattern=/nosuch*',
      ],
      'train.pre_parser_dataset.file_pattern',
    ),
    (['--output=x.gif'], 'must end in one of .png'),
    (['--output=/nosuch/x.png'], "no directory '/nosuch'"),
  ],
)
def test_what_is_wrong_is_said(arguments, message, tmp_path):
  finished = programs.run(
    'tools/show_augmentation.py',
    '--output=' + str(tmp_path / 'x.png'),
    *arguments,
  )
  assert finished.returncode in (1, 2)
  assert finished.stderr.startswith('Error: ')
  assert message.replace('\\', '') in finished.stderr
  assert 'Traceback' not in finished.stderr


def test_records_without_masks_are_told_before_the_sheet(tmp_path):
  records = record_factory.write_records(
    tmp_path / 'a', [record_factory.make_record()]
  )
  for arguments in (
    ['--file_pattern=' + records, '--model=mask_rcnn'],
    [
      '--file_pattern=' + golden_numbers.RECORDS,
      '--params_override=type=mask_rcnn,maskrcnn_parser.copy_paste=true,'
      'architecture.pre_parser=extract_objects_parser,'
      'train.pre_parser_dataset.file_pattern=' + records,
    ],
  ):
    finished = programs.run(
      'tools/show_augmentation.py',
      f'--output={tmp_path}/x.png',
      *arguments,
    )
    assert finished.returncode == 1
    assert f"'{records}'" in finished.stderr
    assert '--include_masks' in finished.stderr
    assert not (tmp_path / 'x.png').exists()


def test_boxes_follow_the_image(tmp_path):
  # A white rectangle on black, and its box.
  image = np.zeros([128, 256, 3], np.uint8)
  image[32:64, 64:160] = 255
  record = record_factory.make_record(
    b'7', record_factory.encode(image), [[0.25, 0.25, 0.5, 0.625]], [2]
  )
  path = record_factory.write_records(tmp_path / 'a', [record])
  params = _params(
    aug_policy=[[['TranslateX_BBox', 1.0, 1]]],
    aug_scale_min=0.5,
    aug_scale_max=1.5,
  )
  (row,) = augmentation_sheet.sample_rows([path], params, 5, 12)
  assert row.source_id == '7' and len(row.samples) == 12
  np.testing.assert_array_equal(row.original.pixels, image)
  np.testing.assert_allclose(row.original.boxes, [[32, 64, 64, 160]])
  places = set()
  for sample in row.samples:
    assert sample.pixels.shape == (128, 256, 3)
    (box,), (class_id,) = sample.boxes, sample.classes
    assert class_id == 2
    rows, columns = np.nonzero(sample.pixels.min(axis=-1) > 200)
    found = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
    np.testing.assert_allclose(box, found, atol=2)
    places.add(tuple(found))
  assert len(places) > 6
  again = augmentation_sheet.sample_rows([path], params, 1, 12)[0]
  for first, second in zip(row.samples, again.samples):
    np.testing.assert_array_equal(first.pixels, second.pixels)


def test_masks_follow_the_image(tmp_path):
  # An L in white on black, which is its own mask.
  image = np.zeros([128, 128], np.uint8)
  image[32:96, 40:60] = image[76:96, 40:100] = 255
  record = record_factory.make_record(
    b'7',
    record_factory.encode(np.stack([image] * 3, axis=-1)),
    [[0.25, 40 / 128, 0.75, 100 / 128]],
    [1],
    object__mask=[record_factory.encode(image)],
  )
  path = record_factory.write_records(tmp_path / 'a', [record])
  changes = {
    'type': 'mask_rcnn',
    'maskrcnn_parser': {
      'output_size': [128, 128],
      'aug_scale_min': 0.7,
      'aug_scale_max': 1.3,
    },
    'train': {'seed': 1},
  }
  params = resolver.resolve(params_override=json.dumps(changes)).params
  (row,) = augmentation_sheet.sample_rows([path], params, 1, 6)
  for picture in (row.original, *row.samples):
    ymin, xmin, ymax, xmax = picture.boxes[0]
    (window,) = mask_utils.paste_windows(
      picture.masks, [[xmin, ymin, xmax - xmin, ymax - ymin]], 128, 128
    )
    found = np.zeros([128, 128], np.uint8)
    height, width = window.pixels.shape
    found[window.ymin :, window.xmin :][:height, :width] = window.pixels
    expected = picture.pixels[:, :, 0] > 127
    union = np.sum(expected | (found > 0))
    assert np.sum(expected & (found > 0)) > 0.85 * union


def test_copy_paste_shows_what_is_pasted(tmp_path):
  def record(value, box):
    image = np.full([64, 64, 3], value, np.uint8)
    mask = np.zeros([64, 64], np.uint8)
    mask[box[0] : box[2], box[1] : box[3]] = 255
    return record_factory.make_record(
      encoded=record_factory.encode(image),
      boxes=[np.float32(box) / 64],
      object__mask=[record_factory.encode(mask)],
    )

  below, above = (
    record_factory.write_records(tmp_path / name, [one])
    for name, one in (
      ('below', record(50, [2, 2, 20, 20])),
      ('above', record(200, [30, 30, 60, 50])),
    )
  )
  changes = {
    'type': 'mask_rcnn',
    'architecture': {'pre_parser': 'extract_objects_parser'},
    'maskrcnn_parser': {
      'output_size': [64, 64],
      'aug_rand_hflip': False,
      'copy_paste': True,
    },
    'train': {'pre_parser_dataset': {'file_pattern': above}},
  }
  params = resolver.resolve(params_override=json.dumps(changes)).params
  (row,) = augmentation_sheet.sample_rows([below], params, 1, 2)
  assert len(row.original.boxes) == 1
  for sample in row.samples:
    np.testing.assert_allclose(
      sample.boxes, [[2, 2, 20, 20], [30, 30, 60, 50]], atol=1e-3
    )
    assert sample.masks.shape == (2, 112, 112) and sample.masks.mean() > 0.95
    pasted = sample.pixels[:, :, 0] > 125
    assert pasted[30:60, 30:50].all() and pasted.sum() == 30 * 20
  # No more than are learned.
  changes['maskrcnn_parser']['max_num_instances'] = 1
  params = resolver.resolve(params_override=json.dumps(changes)).params
  (row,) = augmentation_sheet.sample_rows([below], params, 1, 1)
  (sample,) = row.samples
  assert len(sample.boxes) == len(sample.classes) == len(sample.masks) == 1


def test_each_sample_meets_an_image_of_its_own(tmp_path):
  def record(value):
    image = np.full([64, 64, 3], value, np.uint8)
    mask = np.full([64, 64], 255, np.uint8)
    return record_factory.make_record(
      b'%d' % value,
      record_factory.encode(image),
      [[0.0, 0.0, 1.0, 1.0]],
      [1],
      object__mask=[record_factory.encode(mask)],
    )

  below = record_factory.write_records(tmp_path / 'below', [record(9)] * 2)
  donors = list(map(record, range(20, 220, 20)))
  changes = {
    'type': 'mask_rcnn',
    'architecture': {'pre_parser': 'extract_objects_parser'},
    'maskrcnn_parser': {'output_size': [64, 64], 'copy_paste': True},
    'train': {
      'seed': 1,
      'pre_parser_dataset': {
        'file_pattern': record_factory.write_records(tmp_path / 'x', donors)
      },
    },
  }
  params = resolver.resolve(params_override=json.dumps(changes)).params
  rows = augmentation_sheet.sample_rows([below], params, 2, 3)
  shown = [sample.pixels.max() for row in rows for sample in row.samples]
  assert len(rows) == 2 and len(set(shown)) == 6


def test_a_broken_image_points_to_the_checking_tool(tmp_path):
  record = record_factory.make_record(encoded=b'no image')
  path = record_factory.write_records(tmp_path / 'a', [record])
  with pytest.raises(errors.DataError, match='check_records'):
    augmentation_sheet.sample_rows([path], _params(), 1, 1)


def test_images_are_taken_at_random_and_the_sheet_holds_all(tmp_path):
  paths = [
    record_factory.write_records(
      tmp_path / str(i),
      [record_factory.make_record(b'%d' % (10 * i + j)) for j in range(9)],
    )
    for i in range(3)
  ]
  params = _params()
  every = {}
  for seed in (1, 2):
    params.train.seed = seed
    rows, again = (
      augmentation_sheet.sample_rows(paths, params, 5, 0) for _ in range(2)
    )
    every[seed] = [row.source_id for row in rows]
    assert every[seed] == [row.source_id for row in again]
    assert len(set(every[seed])) == 5
  assert every[1] != every[2] and every[1] != ['0', '1', '2', '3', '4']
  everything = augmentation_sheet.sample_rows(paths, params, 99, 0)
  assert sorted(int(row.source_id) for row in everything) == [
    10 * i + j for i in range(3) for j in range(9)
  ]

  # Originals alone stand in a grid of 3 and 2, each 64 x 43 there.
  plain = augmentation_sheet.draw(rows, 64, {1: 'cell'})
  assert plain.size == (3 * 72 + 8, 2 * 69 + 8)
  rows = augmentation_sheet.sample_rows(paths, params, 3, 1)
  sheet = augmentation_sheet.draw(rows, 64, {1: 'cell'})
  assert sheet.size == (2 * 72 + 8, 3 * 69 + 8)


def test_images_with_a_class_show_its_name(tmp_path):
  records = classification_set.write(tmp_path)
  params = golden_numbers.make_params(
    {
      'type': 'classification',
      'architecture': {'num_classes': 4},
      'classification_parser': {'output_size': [64, 48]},
    }
  )
  rows = augmentation_sheet.sample_rows([records], params, 2, 2)
  assert len(rows) == 2
  for row in rows:
    label = 1 + (int(row.source_id) - 100) % 3
    assert row.original.pixels.shape == (40, 60, 3)
    for picture in (row.original, *row.samples):
      assert picture.classes.tolist() == [label]
    assert row.samples[0].pixels.shape == (64, 48, 3)
    # The window shows something of the image, in its colours.
    difference = row.samples[0].pixels.mean((0, 1)) - row.original.pixels.mean(
      (0, 1)
    )
    assert np.abs(difference).max() < 25
  sheets = [
    np.asarray(augmentation_sheet.draw(rows, 100, names)).astype(int)
    for names in (None, {1: 'red', 2: 'green', 3: 'blue'})
  ]
  assert np.abs(sheets[0] - sheets[1]).max() > 60


def test_label_maps_follow_the_image(tmp_path):
  path = segmentation_set.write(tmp_path)
  params = golden_numbers.make_params(
    {
      'type': 'segmentation',
      'architecture': {'num_classes': 3},
      'segmentation_parser': {'output_size': [64, 64]},
      'train': {'seed': 1},
    }
  )
  rows = augmentation_sheet.sample_rows([path], params, 2, 2)
  for row in rows:
    assert -1 in row.original.masks
    # Where nothing counts, beside the image too, a window may not reach.
    assert any(-1 in sample.masks for sample in row.samples)
    for picture in (row.original, *row.samples):
      (class_map,) = picture.masks
      assert class_map.shape == picture.pixels.shape[:2]
      assert {0, 1} <= set(np.unique(class_map)) <= {-1, 0, 1, 2}
      # Class 1 is green.
      bright = picture.pixels[..., 1] > 150
      assert bright[class_map == 1].mean() > 0.8
  sheet = augmentation_sheet.draw(rows, 100, {1: 'leaf', 2: 'stem'})
  assert sheet.width > 300
