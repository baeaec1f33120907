"""Masks as a model gives them, from pasting to metrics."""

import contextlib
import io
import itertools
import json

import cv2
import numpy as np
import pytest
from pycocotools import coco, cocoeval
from pycocotools import mask as mask_lib

from configs import factory
from evaluation import coco_evaluator, coco_metrics, entries
from tests import record_factory
from tests.evaluation import hand_made_batches
from utils import errors, mask_utils

_BACKENDS = pytest.mark.parametrize(
  'backend', ['faster_coco_eval', 'pycocotools']
)
_CLASSES, _ROWS = (1, 2, 5), 12
_SCALE = (1.25, 0.8)  # y, x


def _soft_masks(random, count):
  noise = random.rand(count, 28, 28).astype(np.float32)
  blurred = [cv2.GaussianBlur(mask, (9, 9), 3) for mask in noise]
  return np.clip((np.stack(blurred) - 0.48) * 15 + 0.5, 0, 1)


def _encode(mask, box_xywh, height, width):
  (pixels,) = mask_utils.paste_instance_masks(
    mask[np.newaxis], np.array([box_xywh]), height, width
  )
  rle = mask_lib.encode(np.asfortranarray(pixels))
  return dict(rle, counts=rle['counts'].decode()), pixels


def _in_kind(rle, pixels, kind):
  """The mask as polygons, as run lengths, or as compressed ones."""
  if kind == 0:
    return mask_utils.window_polygons(mask_utils.MaskWindow(0, 0, pixels), 0)
  if kind == 1:
    column_major = pixels.ravel(order='F').tolist()
    counts = [len(list(run)) for _, run in itertools.groupby(column_major)]
    return dict(rle, counts=[0] * column_major[0] + counts)
  return rle


def _make_set(num_images=6):
  """Annotations, and a batch of predictions near them, in resized pixels."""
  random = np.random.RandomState(0)
  images, annotations = [], []
  batch = hand_made_batches.predictions(
    {10 + n: [] for n in range(num_images)}, _ROWS, _SCALE
  )
  batch['detection_masks'] = random.rand(num_images, _ROWS, 28, 28)
  batch['num_detections'][:] = random.randint(_ROWS // 2, _ROWS + 1, num_images)
  for row in range(num_images):
    height, width = random.randint(60, 260, 2).tolist()
    batch['image_info'][row, 0] = height, width
    images.append({'id': 10 + row, 'height': height, 'width': width})
    masks = _soft_masks(random, _ROWS)
    for position in range(batch['num_detections'][row]):
      ymin, xmin = (
        random.uniform(-5, 0.6 * height),
        random.uniform(0, width / 2),
      )
      box = np.array([xmin, ymin, *random.uniform(6, 0.6 * width, 2)])
      category_id = int(random.choice(_CLASSES))
      rle, pixels = _encode(masks[position], box, height, width)
      if pixels.any() and position % 4:
        annotations.append(
          {
            'id': len(annotations) + 1,
            'image_id': 10 + row,
            'category_id': category_id,
            'bbox': box.tolist(),
            'area': float(mask_lib.area(rle)),
            'iscrowd': int(position == 5),
            'segmentation': _in_kind(rle, pixels, position % 3),
          }
        )
      x, y, w, h = box + random.randn(4)
      batch['detection_boxes'][row, position] = np.array(
        [y, x, y + h, x + w]
      ) * (2 * _SCALE)
      batch['detection_classes'][row, position] = category_id
      batch['detection_scores'][row, position] = random.rand()
      batch['detection_masks'][row, position] = np.clip(
        masks[position] + random.randn() * 0.2, 0, 1
      )
  categories = [{'id': key, 'name': f'class {key}'} for key in _CLASSES]
  return batch, {
    'images': images,
    'annotations': annotations,
    'categories': categories,
  }


@pytest.fixture(scope='module')
def made(tmp_path_factory):
  batch, truth = _make_set()
  path = tmp_path_factory.mktemp('masks') / 'instances.json'
  path.write_text(json.dumps(truth))
  return batch, str(path)


def _reference_results(batch):
  """Results in COCO's format, each mask pasted on a whole image."""
  results = []
  for row, image_id in enumerate(batch['source_id'].tolist()):
    height, width = batch['image_info'][row, 0].astype(int).tolist()
    for position in range(batch['num_detections'][row]):
      box = batch['detection_boxes'][row, position] / np.float32(2 * _SCALE)
      xywh = np.array([box[1], box[0], box[3] - box[1], box[2] - box[0]])
      mask = batch['detection_masks'][row, position]
      rle, _ = _encode(mask, xywh, height, width)
      results.append(
        {
          'id': len(results) + 1,
          'image_id': image_id,
          'category_id': int(batch['detection_classes'][row, position]),
          'bbox': np.round(xywh.astype(float), 3).tolist(),
          'score': float(batch['detection_scores'][row, position]),
          'area': float(mask_lib.area(rle)),
          'segmentation': rle,
        }
      )
  return results


def _reference(path, results, iou_type):
  """What pycocotools itself makes of results."""
  with contextlib.redirect_stdout(io.StringIO()):
    truth, detections = coco.COCO(path), coco.COCO()
    detections.dataset = dict(truth.dataset, annotations=results)
    detections.createIndex()
    evaluation = cocoeval.COCOeval(truth, detections, iou_type)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
  return evaluation


@_BACKENDS
def test_agreement_with_pycocotools(made, backend, tmp_path):
  batch, path = made
  evaluator = coco_evaluator.COCOEvaluator(
    path,
    include_mask=True,
    per_category_metrics=True,
    backend=backend,
    requires_all_images=True,
  )
  for rows in (slice(0, 4), slice(4, None)):
    evaluator.update({key: values[rows] for key, values in batch.items()})
  evaluator.dump_predictions(str(tmp_path / 'predictions.json'))
  metrics = evaluator.evaluate()
  reference_results = _reference_results(batch)
  written = json.loads((tmp_path / 'predictions.json').read_text())
  masks = [r['segmentation'] for r in written if 'segmentation' in r]
  assert masks == [result['segmentation'] for result in reference_results]
  assert len(written) == len(batch['source_id']) * _ROWS > len(masks)

  names = list(metrics)[:12]
  assert names[0] == 'AP' and names[-1] == 'ARl'
  for iou_type, prefix in (('bbox', ''), ('segm', 'mask_')):
    reference = _reference(path, reference_results, iou_type)
    values = [metrics[prefix + name] for name in names]
    assert values == np.float32(reference.stats).tolist()
    assert 0.1 < values[0] < 0.9 and -1 not in values
    for k, class_id in enumerate(_CLASSES):
      precision = reference.eval['precision'][:, :, k, 0, 2]
      key = f'{prefix}Precision mAP ByCategory/class {class_id}'
      assert metrics[key] == np.float32(precision[precision > -1].mean())
    result = coco_metrics.match(
      reference.cocoGt.dataset,
      entries.from_coco(
        reference_results, reference.cocoGt.dataset['images'], iou_type
      ),
      batch['source_id'].tolist(),
      iou_type,
      backend,
    )
    for array in ('precision', 'recall'):
      np.testing.assert_allclose(
        getattr(result, array), reference.eval[array], rtol=0, atol=1e-12
      )


def test_masks_within_outer_boxes(made, tmp_path):
  batch, path = made
  written = []
  for boxes in ({}, {'detection_outer_boxes': batch['detection_boxes']}):
    evaluator = coco_evaluator.COCOEvaluator(path, include_mask=True)
    # Masks do not care for the boxes then.
    shrunk = batch['detection_boxes'] * (0.9 if boxes else 1)
    evaluator.update({**batch, 'detection_boxes': shrunk, **boxes})
    evaluator.dump_predictions(str(tmp_path / 'a.json'))
    written.append(json.loads((tmp_path / 'a.json').read_text()))
  for one, other in zip(*written):
    assert one.get('segmentation') == other.get('segmentation')
    assert one['bbox'] != other['bbox'] or not any(one['bbox'])


def test_masks_of_some_classes_alone(made):
  batch, path = made
  metrics = []
  for classes in (None, (1, 5, 77), (77,)):
    evaluator = coco_evaluator.COCOEvaluator(
      path,
      include_mask=True,
      per_category_metrics=classes is None,
      mask_classes=classes,
    )
    evaluator.update(batch)
    metrics.append(evaluator.evaluate())
  whole, some, none = metrics
  assert len(some) == 24 and not any(key.startswith('mask_') for key in some)
  for name, prefix in coco_metrics.CATEGORY_METRICS.items():
    assert some[name] == whole[name]
    of_classes = np.array([whole[f'mask_{prefix}class {i}'] for i in (1, 5)])
    # Of classes without objects of a size there is none.
    mean = np.mean(of_classes[of_classes >= 0])
    assert some['novel_mask_' + name] == pytest.approx(mean)
  assert none['novel_mask_AP'] == -1


def test_padding_has_no_masks(made):
  batch, path = made
  evaluator = coco_evaluator.COCOEvaluator(path, include_mask=True)
  evaluator.update(batch)
  expected = evaluator.evaluate()
  padded = {
    key: np.concatenate([values, values[:2]]) for key, values in batch.items()
  }
  padded['is_padding'] = np.arange(len(padded['source_id'])) >= len(
    batch['source_id']
  )
  evaluator.update(padded)
  assert evaluator.evaluate() == expected


@_BACKENDS
@pytest.mark.parametrize('include_mask,expected', [(True, 1), (False, 0.5)])
def test_boxes_are_small_by_their_masks(
  tmp_path, backend, include_mask, expected
):
  path = tmp_path / 'instances.json'
  square = [0, 0, 50, 0, 50, 50, 0, 50]
  content = {
    'images': [{'id': 7, 'height': 480, 'width': 640}],
    'categories': [{'id': 1}],
    # Without an area, which is then that of the mask, or of the box.
    'annotations': [
      hand_made_batches.annotation(7, 1, [0, 0, 50, 50], segmentation=[square])
    ],
  }
  path.write_text(json.dumps(content))
  batch = hand_made_batches.predictions(
    {7: [([200, 200, 250, 250], 1, 0.9), ([0, 0, 50, 50], 1, 0.8)]}
  )
  masks = np.ones([1, 4, 28, 28], np.float32)
  masks[0, 0, 10:] = 0
  batch['detection_masks'] = masks
  evaluator = coco_evaluator.COCOEvaluator(
    str(path), include_mask=include_mask, backend=backend
  )
  evaluator.update(batch)
  # The first one is wrong, and does not count among medium ones.
  assert evaluator.evaluate()['APm'] == expected


def test_masks_of_another_size_are_refused(made):
  batch, path = made
  evaluator = coco_evaluator.COCOEvaluator(path, include_mask=True)
  info = batch['image_info'].copy()
  info[1, 0] = 80, 70
  message = r'instances\.json: image 11 has \d+ x \d+ .* and 70 x 80 where'
  with pytest.raises(errors.DataError, match=message):
    evaluator.update(dict(batch, image_info=info))


def test_absent_fields_are_named(made):
  batch, path = made
  evaluator = coco_evaluator.COCOEvaluator(
    path, include_mask=True, need_rescale_bboxes=False
  )
  for field in ('detection_masks', 'image_info'):
    with pytest.raises(ValueError, match=f'`{field}` is absent'):
      evaluator.update({k: v for k, v in batch.items() if k != field})


def test_groundtruth_from_the_masks_of_records(tmp_path):
  """A disc and an empty image of 60 x 40 pixels, as PNG masks of 255."""
  box = [0.1, 0.2, 0.6, 0.7]  # 4 to 24 of 40 rows, 12 to 42 of 60 columns
  disc = np.zeros([40, 60], np.uint8)
  cv2.ellipse(disc, (27, 14), (14, 9), 0, 0, 360, 255, -1)
  pattern = record_factory.write_records(
    tmp_path / 'a.tfrecord',
    [
      record_factory.make_record(
        b'1', boxes=[box], object__mask=[record_factory.encode(disc)]
      ),
      record_factory.make_record(b'2', boxes=(), classes=()),
    ],
  )
  params = factory.config_generator('mask_rcnn')
  params.override(
    {
      'model_dir': str(tmp_path),
      'eval': {
        'eval_file_pattern': pattern,
        # Masks are not among what comes with the predictions.
        'use_json_file': False,
        'eval_samples': None,
      },
    }
  )
  evaluator = coco_evaluator.box_and_mask_from_params(params)
  batch = hand_made_batches.predictions(
    {1: [([8, 24, 48, 84], 1, 0.9)], 2: []}, scale=(2, 2)
  )
  batch['image_info'][:, 0] = 40, 60
  batch['detection_masks'] = np.zeros([2, 4, 28, 28], np.float32)
  batch['detection_masks'][0, 0] = cv2.resize(
    disc[4:24, 12:42] / 255, (28, 28), interpolation=cv2.INTER_AREA
  )
  evaluator.update(batch)
  metrics = evaluator.evaluate()
  assert metrics['AP'] == 1
  assert metrics['mask_AP75'] == 1
