"""Metrics of hand-made detections."""

import json
import logging

import numpy as np
import pytest
from pycocotools import mask as mask_lib

from evaluation import coco_evaluator
from tests.evaluation import hand_made_batches

_BACKENDS = pytest.mark.parametrize(
  'backend', ['faster_coco_eval', 'pycocotools']
)


@pytest.fixture
def annotation_file(tmp_path):
  return hand_made_batches.write_annotations(tmp_path / 'annotations.json')


def _rounded(metrics):
  return {name: round(float(value), 4) for name, value in metrics.items()}


@_BACKENDS
def test_perfect_detections_score_one(annotation_file, backend, capsys):
  evaluator = coco_evaluator.COCOEvaluator(
    annotation_file, backend=backend, requires_all_images=True
  )
  evaluator.update(hand_made_batches.predictions(hand_made_batches.perfect()))
  metrics = evaluator.evaluate()
  assert _rounded(metrics) == {
    'AP': 1,
    'AP50': 1,
    'AP75': 1,
    'APs': -1,
    'APm': 1,
    'APl': 1,
    'ARmax1': 1,
    'ARmax10': 1,
    'ARmax100': 1,
    'ARs': -1,
    'ARm': 1,
    'ARl': 1,
  }
  prefix = 'Precision mAP ByCategory/'
  classes = {name[len(prefix) :] for name in evaluator.class_scores}
  assert classes == {'cat', 'toothbrush'}
  assert set(evaluator.class_scores.values()) == {1}
  assert list(metrics) == (
    [
      'AP',
      'AP50',
      'AP75',
      'APs',
      'APm',
      'APl',
      'ARmax1',
      'ARmax10',
      'ARmax100',
      'ARs',
      'ARm',
      'ARl',
    ]
  )
  assert all(value.dtype == np.float32 for value in metrics.values())
  assert capsys.readouterr().out == ''


@_BACKENDS
def test_no_detections_score_zero(annotation_file, backend):
  evaluator = coco_evaluator.COCOEvaluator(annotation_file, backend=backend)
  evaluator.update(
    hand_made_batches.predictions(
      dict.fromkeys([7, 12, 30, 41], []), num_rows=0
    )
  )
  metrics = _rounded(evaluator.evaluate())
  assert (metrics['AP'], metrics['ARmax100'], metrics['APs']) == (0, 0, -1)


@_BACKENDS
def test_half_of_the_objects(annotation_file, backend):
  evaluator = coco_evaluator.COCOEvaluator(
    annotation_file, backend=backend, per_category_metrics=True
  )
  # Of the three cats that count one is found, after one false detection; the
  # toothbrush is found with an overlap of 0.6.
  evaluator.update(
    hand_made_batches.predictions(
      {
        7: [
          (hand_made_batches.MEDIUM, 3, 0.95),
          ([200, 100, 224, 150], 90, 0.6),
        ],
        12: [(hand_made_batches.BIG, 3, 0.9)],
      }
    )
  )
  evaluator.update(hand_made_batches.predictions({30: [], 41: []}))
  metrics = _rounded(evaluator.evaluate())
  # Precision is 1/2 at the 34 recalls 0, 0.01, ..., 0.33.
  cat = round(0.5 * 34 / 101, 4)
  assert metrics['Precision mAP ByCategory/cat'] == cat
  assert metrics['Precision mAP ByCategory@50IoU/toothbrush'] == 1
  assert metrics['Precision mAP ByCategory@75IoU/toothbrush'] == 0
  # IoU thresholds 0.5, 0.55 and 0.6 of ten.
  assert metrics['Precision mAP ByCategory/toothbrush'] == 0.3
  assert metrics['Recall AR@100 ByCategory/cat'] == 0.3333
  # On image 7 the false cat comes first, on image 12 the right one.
  assert metrics['Recall AR@1 ByCategory/cat'] == 0.3333
  assert metrics['Recall AR (large) ByCategory/cat'] == 0.5
  assert metrics['Recall AR (small) ByCategory/cat'] == -1
  assert metrics['Precision mAP ByCategory (medium)/toothbrush'] == 0.3
  assert metrics['AP'] == pytest.approx((cat + 0.3) / 2, abs=1e-4)
  assert metrics['Objects ByCategory/cat'] == 3
  assert metrics['Objects ByCategory/toothbrush'] == 1
  assert len(metrics) == 12 + 2 * (12 + 1)


@_BACKENDS
def test_detections_of_a_crowd_are_neither_right_nor_wrong(
  annotation_file, backend
):
  images = hand_made_batches.perfect()
  images[41] += [
    ([300, 300, 350, 350], 3, 0.99),
    ([350, 350, 400, 400], 3, 0.98),
  ]
  evaluator = coco_evaluator.COCOEvaluator(annotation_file, backend=backend)
  evaluator.update(hand_made_batches.predictions(images))
  assert evaluator.evaluate()['AP'] == 1


@_BACKENDS
def test_detections_in_an_empty_image_count_as_false(annotation_file, backend):
  images = hand_made_batches.perfect()
  images[30] = [(hand_made_batches.MEDIUM, 90, 0.99)]
  evaluator = coco_evaluator.COCOEvaluator(
    annotation_file, backend=backend, per_category_metrics=True
  )
  evaluator.update(hand_made_batches.predictions(images))
  metrics = evaluator.evaluate()
  assert metrics['Precision mAP ByCategory/toothbrush'] == 0.5
  assert metrics['Precision mAP ByCategory/cat'] == 1


def test_only_images_with_predictions_are_evaluated(annotation_file):
  evaluator = coco_evaluator.COCOEvaluator(annotation_file)
  evaluator.update(
    hand_made_batches.predictions({7: hand_made_batches.perfect()[7]})
  )
  assert evaluator.evaluate()['AP'] == 1


def test_absent_detections_take_part_with_their_low_score(annotation_file):
  batch = hand_made_batches.predictions(hand_made_batches.perfect())
  batch['num_detections'][:] = 0
  evaluator = coco_evaluator.COCOEvaluator(annotation_file)
  evaluator.update(batch)
  assert evaluator.evaluate()['AP'] == 1


def test_boxes_are_divided_by_the_scale_of_each_axis(annotation_file):
  def scaled(box):
    return np.array(box) * [0.5, 2, 0.5, 2]

  images = {
    image_id: [(scaled(box), *rest) for box, *rest in rows]
    for image_id, rows in hand_made_batches.perfect().items()
  }
  batch = hand_made_batches.predictions(images, scale=(0.5, 2))
  evaluator = coco_evaluator.COCOEvaluator(annotation_file)
  evaluator.update(batch)
  assert evaluator.evaluate()['AP'] == 1

  evaluator = coco_evaluator.COCOEvaluator(
    annotation_file, need_rescale_bboxes=False
  )
  del batch['image_info']
  evaluator.update(batch)
  assert evaluator.evaluate()['AP'] == 0


@_BACKENDS
def test_float32_boxes_reach_exact_overlaps(tmp_path, backend):
  # 258.15 and the like have no exact float32; the overlap is exactly 0.5.
  path = tmp_path / 'annotations.json'
  path.write_text(
    json.dumps(
      {
        'images': [{'id': 1, 'height': 480, 'width': 640}],
        'categories': [{'id': 1, 'name': 'cat'}],
        'annotations': [
          {'image_id': 1, 'category_id': 1, 'bbox': [258.15, 41.29, 17.6, 3.1]}
        ],
      }
    )
  )
  box = [41.29, 258.15, 41.29 + 3.1, 258.15 + 8.8]
  evaluator = coco_evaluator.COCOEvaluator(str(path), backend=backend)
  evaluator.update(hand_made_batches.predictions({1: [(box, 1, 0.5)]}))
  assert evaluator.evaluate()['AP50'] == 1


def test_padding_rows_do_not_count(annotation_file):
  images = hand_made_batches.perfect()
  batch = hand_made_batches.predictions({7: images[7], 12: images[12], -1: []})
  batch['is_padding'] = np.array([False, False, True])
  evaluator = coco_evaluator.COCOEvaluator(
    annotation_file, requires_all_images=True
  )
  evaluator.update(batch)
  batch = hand_made_batches.predictions(
    {30: [], 41: images[41], -1: [], -2: []}
  )
  batch['is_padding'] = np.array([False, False, True, True])
  evaluator.update(batch)
  assert evaluator.evaluate()['AP'] == 1


@_BACKENDS
def test_groundtruth_from_the_data_stream(backend):
  images = hand_made_batches.perfect()
  evaluator = coco_evaluator.COCOEvaluator(
    None,
    backend=backend,
    per_category_metrics=True,
    label_map={3: 'cat', 5: 'dog'},
  )
  predictions = hand_made_batches.predictions(
    {7: images[7], 30: [], -1: [(hand_made_batches.BIG, 90, 1.0)]}
  )
  groundtruths = hand_made_batches.groundtruths(
    {
      7: [(hand_made_batches.BIG, 3, 0), (hand_made_batches.MEDIUM, 90, 0)],
      30: [],
      -1: [(hand_made_batches.BIG, 5, 0)],
    }
  )
  for batch in (predictions, groundtruths):
    batch['is_padding'] = np.array([False, False, True])
  evaluator.update(predictions, groundtruths)
  evaluator.update(
    hand_made_batches.predictions(
      {41: [(hand_made_batches.MEDIUM, 3, 0.7), ([300, 300, 350, 350], 3, 0.9)]}
    ),
    hand_made_batches.groundtruths(
      {41: [(hand_made_batches.MEDIUM, 3, 0), ([300, 300, 400, 400], 3, 1)]}
    ),
  )
  metrics = evaluator.evaluate()
  assert metrics['AP'] == 1
  # The class of the padding row is no class of the groundtruth.
  assert {
    name for name in metrics if name.startswith('Precision mAP ByCategory/')
  } == {'Precision mAP ByCategory/cat', 'Precision mAP ByCategory/90'}


@_BACKENDS
def test_masks_from_the_data_stream(backend, tmp_path):
  def encoded(rows):
    mask = np.zeros([480, 640], np.uint8, order='F')
    mask[rows, 100:150] = 1
    return mask_lib.encode(mask)

  # The box is right; the mask covers 24 of the 40 rows of the object.
  predictions = hand_made_batches.predictions(
    {7: [(hand_made_batches.MEDIUM, 3, 0.9)]}, num_rows=2
  )
  predictions['detection_masks'] = [[encoded(slice(200, 224)), None]]
  groundtruths = hand_made_batches.groundtruths(
    {7: [(hand_made_batches.MEDIUM, 3, 0)]}
  )
  groundtruths['masks'] = [[encoded(slice(200, 240)), None, None]]
  evaluator = coco_evaluator.COCOEvaluator(
    None, include_mask=True, per_category_metrics=True, backend=backend
  )
  evaluator.update(predictions, groundtruths)
  path = tmp_path / 'predictions.json'
  evaluator.dump_predictions(str(path))
  first, second = json.loads(path.read_text())
  assert first['segmentation']['size'] == [480, 640]
  assert 'segmentation' not in second
  metrics = _rounded(evaluator.evaluate())
  assert metrics['AP'] == metrics['mask_AP50'] == 1
  assert metrics['mask_AP'] == 0.3  # overlaps 0.5, 0.55 and 0.6 of ten
  assert metrics['mask_Precision mAP ByCategory/3'] == 0.3
  assert metrics['mask_APm'] == 0.3
  assert metrics['mask_APl'] == -1


def test_truncated_groundtruth_is_reported_with_counts(caplog):
  evaluator = coco_evaluator.COCOEvaluator('')
  objects = [(hand_made_batches.BIG, 3, 0)] * 5
  for image_id, count in ((7, 5), (12, 4), (41, 2)):
    evaluator.update(
      hand_made_batches.predictions(
        {image_id: [(hand_made_batches.BIG, 3, 0.9)]}
      ),
      hand_made_batches.groundtruths(
        {image_id: objects[:count]}, max_num_instances=2
      ),
    )
  with caplog.at_level(logging.WARNING):
    metrics = evaluator.evaluate()
  assert len(caplog.records) == 1
  assert '5 objects in 2 images' in caplog.text
  assert metrics['ARmax100'] == 0.5  # one of two in each of the images


def test_truncation_is_not_reported_again_after_reset(caplog):
  evaluator = coco_evaluator.COCOEvaluator(None)
  for count in (3, 2):
    evaluator.update(
      hand_made_batches.predictions({7: [(hand_made_batches.BIG, 3, 0.9)]}),
      hand_made_batches.groundtruths(
        {7: [(hand_made_batches.BIG, 3, 0)] * count}, max_num_instances=2
      ),
    )
    with caplog.at_level(logging.WARNING):
      evaluator.evaluate()
  assert len(caplog.records) == 1


def test_groundtruth_without_any_object():
  evaluator = coco_evaluator.COCOEvaluator(None, per_category_metrics=True)
  evaluator.update(
    hand_made_batches.predictions({7: [(hand_made_batches.BIG, 3, 0.9)]}),
    hand_made_batches.groundtruths({7: []}),
  )
  metrics = evaluator.evaluate()
  assert set(metrics.values()) == {-1}
  assert len(metrics) == 12


def test_classes_of_the_same_name_go_by_their_ids(annotation_file):
  evaluator = coco_evaluator.COCOEvaluator(
    annotation_file, per_category_metrics=True, label_map={90: 'cat'}
  )
  evaluator.update(hand_made_batches.predictions(hand_made_batches.perfect()))
  metrics = evaluator.evaluate()
  assert 'Precision mAP ByCategory/3' in metrics
  assert 'Precision mAP ByCategory/90' in metrics


def test_dumped_predictions_score_the_same(annotation_file, tmp_path):
  evaluator = coco_evaluator.COCOEvaluator(annotation_file)
  batch = hand_made_batches.predictions(
    {7: [([2, 1, 9, 7.5], 3, 0.25)], 12: []}, num_rows=2, scale=(2, 2)
  )
  evaluator.update(batch)
  path = tmp_path / 'predictions.json'
  evaluator.dump_predictions(str(path))
  assert json.loads(path.read_text()) == [
    {
      'image_id': 7,
      'category_id': 3,
      'bbox': [0.5, 1, 3.25, 3.5],
      'score': 0.25,
    },
    {'image_id': 7, 'category_id': 0, 'bbox': [0, 0, 0, 0], 'score': -1},
    {'image_id': 12, 'category_id': 0, 'bbox': [0, 0, 0, 0], 'score': -1},
    {'image_id': 12, 'category_id': 0, 'bbox': [0, 0, 0, 0], 'score': -1},
  ]
  assert [entry.name for entry in tmp_path.iterdir()].count(path.name) == 1
  assert not list(tmp_path.glob('*.tmp'))


def test_dump_without_detections_is_an_empty_list(annotation_file, tmp_path):
  evaluator = coco_evaluator.COCOEvaluator(annotation_file)
  path = tmp_path / 'predictions.json'
  evaluator.dump_predictions(str(path))
  assert json.loads(path.read_text()) == []


def test_evaluation_starts_anew_after_evaluate(annotation_file):
  evaluator = coco_evaluator.COCOEvaluator(annotation_file)
  for images, expected in (
    (hand_made_batches.perfect(), 1),
    ({7: [], 41: []}, 0),
  ):
    evaluator.update(hand_made_batches.predictions(images))
    assert evaluator.evaluate()['AP'] == expected
