"""Metrics of hand-made detections, and what cannot be scored."""

import json
import logging

import numpy as np
import pytest

from evaluation import coco_evaluator
from utils import errors

_BACKENDS = pytest.mark.parametrize(
  'backend', ['faster_coco_eval', 'pycocotools']
)

_BIG = [0, 0, 100, 100]  # ymin, xmin, ymax, xmax: 'large'
_MEDIUM = [200, 100, 240, 150]


def _annotation(image_id, category_id, box, **more):
  ymin, xmin, ymax, xmax = box
  return dict(
    image_id=image_id,
    category_id=category_id,
    bbox=[xmin, ymin, xmax - xmin, ymax - ymin],
    **more,
  )


@pytest.fixture
def annotation_file(tmp_path):
  """Images 7 and 12 with objects, 30 without, 41 with a crowd besides."""
  path = tmp_path / 'annotations.json'
  content = {
    'images': [
      {'id': image_id, 'height': 480, 'width': 640}
      for image_id in (7, 12, 30, 41)
    ],
    'categories': [{'id': 3, 'name': 'cat'}, {'id': 90, 'name': 'toothbrush'}],
    'annotations': [
      _annotation(7, 3, _BIG),
      _annotation(7, 90, _MEDIUM),
      _annotation(12, 3, _BIG),
      _annotation(41, 3, _MEDIUM),
      _annotation(41, 3, [300, 300, 400, 400], iscrowd=1),
    ],
  }
  path.write_text(json.dumps(content))
  return str(path)


def _predictions(images, num_rows=4, scale=(1.0, 1.0)):
  """Returns a batch of {image id: [(box, class, score), ...]}."""
  batch = {
    'source_id': np.array(list(images), np.int64),
    'num_detections': np.array([len(rows) for rows in images.values()]),
    'detection_boxes': np.zeros([len(images), num_rows, 4], np.float32),
    'detection_classes': np.zeros([len(images), num_rows], np.float32),
    'detection_scores': -np.ones([len(images), num_rows], np.float32),
    'image_info': np.array(
      [[[480, 640], [480, 640], scale, [0, 0]]] * len(images), np.float32
    ),
  }
  for image, rows in enumerate(images.values()):
    for row, (box, category_id, score) in enumerate(rows):
      batch['detection_boxes'][image, row] = box
      batch['detection_classes'][image, row] = category_id
      batch['detection_scores'][image, row] = score
  return batch


def _perfect():
  return {
    7: [(_BIG, 3, 0.9), (_MEDIUM, 90, 0.8)],
    12: [(_BIG, 3, 0.9)],
    30: [],
    41: [(_MEDIUM, 3, 0.7)],
  }


def _groundtruths(images, max_num_instances=3):
  """Returns a batch of {image id: [(box, class, is_crowd), ...]}."""
  batch = {
    'source_id': np.array(list(images), np.int64),
    'height': np.full([len(images)], 480, np.int64),
    'width': np.full([len(images)], 640, np.int64),
    'num_detections': np.array([[len(r)] for r in images.values()], np.int32),
    'boxes': -np.ones([len(images), max_num_instances, 4], np.float32),
    'classes': -np.ones([len(images), max_num_instances], np.int64),
    'areas': -np.ones([len(images), max_num_instances], np.float32),
    'is_crowds': np.zeros([len(images), max_num_instances], np.int32),
  }
  for image, rows in enumerate(images.values()):
    for row, (box, category_id, crowd) in enumerate(rows[:max_num_instances]):
      batch['boxes'][image, row] = box
      batch['classes'][image, row] = category_id
      batch['areas'][image, row] = (box[2] - box[0]) * (box[3] - box[1])
      batch['is_crowds'][image, row] = crowd
  return batch


def _rounded(metrics):
  return {name: round(float(value), 4) for name, value in metrics.items()}


@_BACKENDS
def test_perfect_detections_score_one(annotation_file, backend, capsys):
  evaluator = coco_evaluator.COCOEvaluator(annotation_file, backend=backend)
  evaluator.update(_predictions(_perfect()))
  metrics = evaluator.evaluate(expected_image_ids=[41, 30, 12, 7])
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
  evaluator.update(_predictions(dict.fromkeys([7, 12, 30, 41], []), num_rows=0))
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
    _predictions(
      {
        7: [(_MEDIUM, 3, 0.95), ([200, 100, 224, 150], 90, 0.6)],
        12: [(_BIG, 3, 0.9)],
      }
    )
  )
  evaluator.update(_predictions({30: [], 41: []}))
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
  assert len(metrics) == 12 + 2 * 12


@_BACKENDS
def test_detections_of_a_crowd_are_neither_right_nor_wrong(
  annotation_file, backend
):
  images = _perfect()
  images[41] += [
    ([300, 300, 350, 350], 3, 0.99),
    ([350, 350, 400, 400], 3, 0.98),
  ]
  evaluator = coco_evaluator.COCOEvaluator(annotation_file, backend=backend)
  evaluator.update(_predictions(images))
  assert evaluator.evaluate()['AP'] == 1


@_BACKENDS
def test_detections_in_an_empty_image_count_as_false(annotation_file, backend):
  images = _perfect()
  images[30] = [(_MEDIUM, 90, 0.99)]
  evaluator = coco_evaluator.COCOEvaluator(
    annotation_file, backend=backend, per_category_metrics=True
  )
  evaluator.update(_predictions(images))
  metrics = evaluator.evaluate()
  assert metrics['Precision mAP ByCategory/toothbrush'] == 0.5
  assert metrics['Precision mAP ByCategory/cat'] == 1


def test_only_images_with_predictions_are_evaluated(annotation_file):
  evaluator = coco_evaluator.COCOEvaluator(annotation_file)
  evaluator.update(_predictions({7: _perfect()[7]}))
  assert evaluator.evaluate()['AP'] == 1


def test_absent_detections_take_part_with_their_low_score(annotation_file):
  batch = _predictions(_perfect())
  batch['num_detections'][:] = 0
  evaluator = coco_evaluator.COCOEvaluator(annotation_file)
  evaluator.update(batch)
  assert evaluator.evaluate()['AP'] == 1


def test_boxes_are_divided_by_the_scale_of_each_axis(annotation_file):
  def scaled(box):
    return np.array(box) * [0.5, 2, 0.5, 2]

  images = {
    image_id: [(scaled(box), *rest) for box, *rest in rows]
    for image_id, rows in _perfect().items()
  }
  batch = _predictions(images, scale=(0.5, 2))
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
  evaluator.update(_predictions({1: [(box, 1, 0.5)]}))
  assert evaluator.evaluate()['AP50'] == 1


def test_padding_rows_do_not_count(annotation_file):
  images = _perfect()
  batch = _predictions({7: images[7], 12: images[12], -1: []})
  batch['is_padding'] = np.array([False, False, True])
  evaluator = coco_evaluator.COCOEvaluator(annotation_file)
  evaluator.update(batch)
  batch = _predictions({30: [], 41: images[41], -1: [], -2: []})
  batch['is_padding'] = np.array([False, False, True, True])
  evaluator.update(batch)
  assert evaluator.evaluate(expected_image_ids=[7, 12, 30, 41])['AP'] == 1


@_BACKENDS
def test_groundtruth_from_the_data_stream(backend):
  images = _perfect()
  evaluator = coco_evaluator.COCOEvaluator(
    None,
    backend=backend,
    per_category_metrics=True,
    label_map={3: 'cat', 5: 'dog'},
  )
  predictions = _predictions({7: images[7], 30: [], -1: [(_BIG, 90, 1.0)]})
  groundtruths = _groundtruths(
    {7: [(_BIG, 3, 0), (_MEDIUM, 90, 0)], 30: [], -1: [(_BIG, 5, 0)]}
  )
  for batch in (predictions, groundtruths):
    batch['is_padding'] = np.array([False, False, True])
  evaluator.update(predictions, groundtruths)
  evaluator.update(
    _predictions({41: [(_MEDIUM, 3, 0.7), ([300, 300, 350, 350], 3, 0.9)]}),
    _groundtruths({41: [(_MEDIUM, 3, 0), ([300, 300, 400, 400], 3, 1)]}),
  )
  metrics = evaluator.evaluate()
  assert metrics['AP'] == 1
  # The class of the padding row is no class of the groundtruth.
  assert {
    name for name in metrics if name.startswith('Precision mAP ByCategory/')
  } == {'Precision mAP ByCategory/cat', 'Precision mAP ByCategory/90'}


def test_truncated_groundtruth_is_reported_with_counts(caplog):
  evaluator = coco_evaluator.COCOEvaluator('')
  objects = [(_BIG, 3, 0)] * 5
  for image_id, count in ((7, 5), (12, 4), (41, 2)):
    evaluator.update(
      _predictions({image_id: [(_BIG, 3, 0.9)]}),
      _groundtruths({image_id: objects[:count]}, max_num_instances=2),
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
      _predictions({7: [(_BIG, 3, 0.9)]}),
      _groundtruths({7: [(_BIG, 3, 0)] * count}, max_num_instances=2),
    )
    with caplog.at_level(logging.WARNING):
      evaluator.evaluate()
  assert len(caplog.records) == 1


def test_groundtruth_without_any_object():
  evaluator = coco_evaluator.COCOEvaluator(None, per_category_metrics=True)
  evaluator.update(_predictions({7: [(_BIG, 3, 0.9)]}), _groundtruths({7: []}))
  metrics = evaluator.evaluate()
  assert set(metrics.values()) == {-1}
  assert len(metrics) == 12


def test_classes_of_the_same_name_go_by_their_ids(annotation_file):
  evaluator = coco_evaluator.COCOEvaluator(
    annotation_file, per_category_metrics=True, label_map={90: 'cat'}
  )
  evaluator.update(_predictions(_perfect()))
  metrics = evaluator.evaluate()
  assert 'Precision mAP ByCategory/3' in metrics
  assert 'Precision mAP ByCategory/90' in metrics


@pytest.mark.parametrize('streams', [True, False])
def test_merged_evaluators_score_all_images(annotation_file, streams):
  images = _perfect()
  images[12] = []  # so that the halves score differently
  groundtruths = {
    7: [(_BIG, 3, 0), (_MEDIUM, 90, 0)],
    12: [(_BIG, 3, 0)],
    30: [],
    41: [(_MEDIUM, 3, 0)],
  }
  source = None if streams else annotation_file
  halves = []
  for ids in ((7, 30), (12, 41)):
    half = coco_evaluator.COCOEvaluator(source)
    half.update(
      _predictions({i: images[i] for i in ids}),
      _groundtruths({i: groundtruths[i] for i in ids}) if streams else None,
    )
    halves.append(half)
  halves[0].merge(halves[1])
  metrics = halves[0].evaluate(expected_image_ids=[7, 12, 30, 41])
  # Recall of cats ends at 2/3: 67 of 101 recalls; the toothbrush is found.
  assert metrics['AP'] == pytest.approx((67 / 101 + 1) / 2)
  assert _rounded(halves[1].evaluate())['ARmax100'] == 0.5


def test_merge_refuses_the_same_image_and_other_groundtruth(annotation_file):
  first, second = (
    coco_evaluator.COCOEvaluator(annotation_file) for _ in range(2)
  )
  first.update(_predictions({7: []}))
  second.update(_predictions({7: []}))
  with pytest.raises(errors.DataError, match='ids 7 came more than once'):
    first.merge(second)
  with pytest.raises(ValueError, match='different groundtruth'):
    first.merge(coco_evaluator.COCOEvaluator(None))


def test_dumped_predictions_score_the_same(annotation_file, tmp_path):
  evaluator = coco_evaluator.COCOEvaluator(annotation_file)
  batch = _predictions(
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
  for images, expected in ((_perfect(), 1), ({7: [], 41: []}, 0)):
    evaluator.update(_predictions(images))
    assert evaluator.evaluate()['AP'] == expected


@pytest.mark.parametrize(
  'field',
  [
    'source_id',
    'num_detections',
    'detection_boxes',
    'detection_classes',
    'detection_scores',
    'image_info',
  ],
)
def test_an_absent_prediction_field_is_named(annotation_file, field):
  batch = _predictions(_perfect())
  del batch[field]
  with pytest.raises(ValueError, match='predictions: `{}`'.format(field)):
    coco_evaluator.COCOEvaluator(annotation_file).update(batch)


@pytest.mark.parametrize(
  'field', ['source_id', 'height', 'width', 'boxes', 'classes']
)
def test_an_absent_groundtruth_field_is_named(field):
  groundtruths = _groundtruths({7: []})
  del groundtruths[field]
  with pytest.raises(ValueError, match='groundtruths: `{}`'.format(field)):
    coco_evaluator.COCOEvaluator(None).update(
      _predictions({7: []}), groundtruths
    )


def test_groundtruths_are_needed_without_an_annotation_file():
  with pytest.raises(ValueError, match='groundtruths'):
    coco_evaluator.COCOEvaluator(None).update(_predictions({7: []}))


def test_predictions_without_groundtruth_are_named():
  evaluator = coco_evaluator.COCOEvaluator(None)
  evaluator.update(_predictions({7: []}), _groundtruths({8: []}))
  with pytest.raises(errors.DataError, match='Image 7 '):
    evaluator.evaluate()


def test_an_unknown_image_is_named(annotation_file):
  evaluator = coco_evaluator.COCOEvaluator(annotation_file)
  with pytest.raises(errors.DataError, match=r'1 evaluated .* 4 .* ids 99\.'):
    evaluator.update(_predictions({7: [], 99: []}))


def test_an_image_that_comes_twice_is_named(annotation_file):
  evaluator = coco_evaluator.COCOEvaluator(annotation_file)
  evaluator.update(_predictions({7: []}))
  with pytest.raises(errors.DataError, match='ids 7 came more than once'):
    evaluator.update(_predictions({12: [], 7: []}))
  batch = _predictions({12: [], 30: []})
  batch['source_id'][:] = 12
  with pytest.raises(errors.DataError, match='ids 12 came more than once'):
    evaluator.update(batch)


def test_images_other_than_expected_are_counted_and_named(annotation_file):
  evaluator = coco_evaluator.COCOEvaluator(annotation_file)
  evaluator.update(_predictions({7: [], 30: []}))
  with pytest.raises(errors.DataError) as caught:
    evaluator.evaluate(expected_image_ids=[7, 12, 41])
  assert '2 images where 3 were expected' in str(caught.value)
  assert '2 are missing (ids 12, 41)' in str(caught.value)
  assert '1 are not expected (ids 30)' in str(caught.value)


@pytest.mark.parametrize('field', ['detection_boxes', 'detection_scores'])
def test_detections_that_are_not_finite_are_refused(annotation_file, field):
  batch = _predictions({7: [], 12: [(_BIG, 3, 0.5)]})
  batch[field][1, 0] = np.nan
  with pytest.raises(errors.DataError, match='Image 12: .*not finite'):
    coco_evaluator.COCOEvaluator(annotation_file).update(batch)


def test_an_unknown_backend_is_named(annotation_file):
  with pytest.raises(errors.ConfigError, match="Did you mean 'pycocotools'"):
    coco_evaluator.COCOEvaluator(annotation_file, backend='pycocotool')
