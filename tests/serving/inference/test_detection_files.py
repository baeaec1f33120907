"""COCO json and CSV."""

import csv
import json
import os

import numpy as np
import pytest
from pycocotools import mask as mask_lib

from serving.inference import detection_files, image_ids
from tests.serving.inference import results


def test_coco_json_of_numbered_images(tmp_path):
  path = tmp_path / 'sub' / 'r.json'
  ids = image_ids.ImageIds()
  ids.numbered.update({1: 'x/a.jpg', 2: 'x/b.jpg'})
  writer = detection_files.CocoJsonWriter(str(path), ids)
  writer.add(results.result('x/a.jpg', image_id=1))
  writer.add(results.result('x/b.jpg', image_id=2, size=(50, 70)))
  assert not path.exists()
  assert '4 detections' in writer.close()
  detections = json.loads(path.read_text())
  assert detections[0] == {
    'image_id': 1,
    'category_id': 1,
    'bbox': [3.0, 2.0, 37.0, 28.0],
    'score': pytest.approx(0.9),
  }
  assert [d['image_id'] for d in detections] == [1, 1, 2, 2]
  images = json.loads((tmp_path / 'sub' / 'r.json.images.json').read_text())
  assert images['images'][1] == {
    'id': 2,
    'file_name': 'x/b.jpg',
    'height': 50,
    'width': 70,
  }


def test_coco_json_without_detections_and_numbers(tmp_path):
  path = tmp_path / 'r.json'
  writer = detection_files.CocoJsonWriter(str(path), image_ids.ImageIds())
  image = results.result(image_id=7)
  writer.add(image._replace(detections=_first(image.detections, 0)))
  writer.close()
  assert json.loads(path.read_text()) == []
  assert os.listdir(str(tmp_path)) == ['r.json']


def _first(detections, count):
  return type(detections)(*(field[:count] for field in detections[:3]))


def test_csv(tmp_path):
  path = tmp_path / 'r.csv'
  writer = detection_files.CsvWriter(
    str(path), results.LABEL_MAP, min_score=0.4
  )
  writer.add(results.result('a,"b".jpg'))
  writer.close()
  with open(str(path), newline='') as file:
    rows = list(csv.reader(file))
  assert rows[0] == detection_files.CsvWriter.HEADER.strip().split(',')
  assert rows[2] == [
    'a,"b".jpg',
    '2',
    'dog <b>',
    '0.400000',
    '10.13',
    '20.00',
    '20.00',
    '50.00',
  ]
  writer = detection_files.CsvWriter(str(path), None, min_score=0.5)
  writer.add(results.result())
  assert '1 rows' in writer.close()


def test_csv_without_images(tmp_path):
  path = tmp_path / 'r.csv'
  detection_files.CsvWriter(str(path), None, 0.0).close()
  assert path.read_text() == detection_files.CsvWriter.HEADER


def test_discarded_files_leave_nothing_and_keep_the_old(tmp_path):
  path = tmp_path / 'r.csv'
  path.write_text('old')
  for writer in (
    detection_files.CsvWriter(str(path), None, 0.0),
    detection_files.CocoJsonWriter(
      str(tmp_path / 'r.json'), image_ids.ImageIds()
    ),
  ):
    writer.add(results.result(image_id=1))
    writer.discard()
  assert os.listdir(str(tmp_path)) == ['r.csv']
  assert path.read_text() == 'old'


def test_masks_are_run_lengths_and_polygons(tmp_path):
  coco, table = tmp_path / 'r.json', tmp_path / 'r.csv'
  writers = (
    detection_files.CocoJsonWriter(str(coco), image_ids.ImageIds()),
    detection_files.CsvWriter(str(table), None, 0.5),
  )
  for writer in writers:
    writer.add(results.masked_result(image_id=1))
    writer.add(results.masked_result(image_id=2))
    writer.close()
  # The box is from column 3 to 40, and the mask its left half.
  left = np.zeros([40, 60], np.uint8)
  left[2:31, 3:22] = 1
  first, second = json.loads(coco.read_text())[:2]
  pixels = mask_lib.decode(first['segmentation'])
  assert pixels.shape == (40, 60)
  assert (pixels != left).mean() < 0.03
  assert mask_lib.area(second['segmentation']) == pytest.approx(300, rel=0.3)
  rows = list(csv.DictReader(table.read_text().splitlines()))
  assert len(rows) == 2 and table.read_text().count('polygons') == 1
  (polygon,) = json.loads(rows[0]['polygons'])
  (rle,) = mask_lib.frPyObjects([polygon], 40, 60)
  assert (mask_lib.decode(rle) != pixels).mean() < 0.01
