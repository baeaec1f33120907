"""COCO metrics of 5,000 images, against faster-coco-eval as it comes.

Each has 100 detections of 80 classes, most near one of 7 objects. The evaluator
gets them in batches of arrays, the other side as COCO's results in memory; both
read the annotation file, each in a process of its own.
"""

import os
import resource
import tempfile
import time
from typing import Any

import faster_coco_eval
import numpy as np

from evaluation import coco_evaluator, entries
from tools.bench import turns
from utils import files

_ROUNDS, _BATCH = 3, 8
_IMAGES, _DETECTIONS, _OBJECTS, _CLASSES = 5000, 100, 7, 80


def _make() -> np.ndarray:
  """Returns records [images, objects and detections]."""
  random = np.random.RandomState(0)
  rows = np.zeros([_IMAGES, _OBJECTS + _DETECTIONS], entries.DTYPE)
  rows['image_id'] = np.arange(_IMAGES)[:, np.newaxis]
  near = np.arange(rows.shape[1]) % _OBJECTS
  sides = np.exp(random.uniform(2, 5.5, [_IMAGES, _OBJECTS, 2]))
  boxes = np.append(random.uniform(0, 640 - sides), sides, -1)[:, near]
  rows['bbox'] = np.round(boxes * random.uniform(0.8, 1.2, boxes.shape), 2)
  rows['area'] = rows['bbox'][..., 2:].prod(axis=-1)
  classes = random.randint(1, _CLASSES + 1, rows.shape)
  is_other = random.rand(*rows.shape) < 0.2
  rows['category_id'] = np.where(is_other, classes, classes[:, near])
  rows['score'] = random.rand(*rows.shape).astype(np.float32)
  return rows


def _score_plain(path: str, found: np.ndarray) -> None:
  names = ['image_id', 'category_id', 'bbox', 'score']
  annotations = faster_coco_eval.COCO(path)
  results = annotations.loadRes(list(entries.to_rows(found.ravel(), names)))
  faster_coco_eval.COCOeval_faster(annotations, results, 'bbox').run()


def _score(path: str, found: np.ndarray) -> None:
  evaluator = coco_evaluator.COCOEvaluator(path, need_rescale_bboxes=False)
  for rows in np.array_split(found, _IMAGES // _BATCH):
    x, y, width, height = np.moveaxis(rows['bbox'], -1, 0)
    evaluator.update(
      {
        'source_id': rows['image_id'][:, 0],
        'num_detections': np.full([len(rows)], _DETECTIONS),
        'detection_boxes': np.stack([y, x, y + height, x + width], axis=-1),
        'detection_classes': rows['category_id'],
        'detection_scores': rows['score'],
      }
    )
  evaluator.evaluate()


def work(is_plain: bool) -> turns.Figures:
  """Scores: seconds, and the peak memory of the process in GB."""
  rows = _make()
  names = ['image_id', 'category_id', 'bbox', 'area', 'iscrowd']
  objects = entries.to_rows(rows[:, :_OBJECTS].ravel(), names)
  content = {
    'images': [{'id': i, 'height': 640, 'width': 640} for i in range(_IMAGES)],
    'categories': [{'id': 1 + i} for i in range(_CLASSES)],
    'annotations': [dict(row, id=1 + i) for i, row in enumerate(objects)],
  }
  with tempfile.TemporaryDirectory() as directory:
    path = os.path.join(directory, 'annotations.json')
    files.write_json(path, content)
    start = time.perf_counter()
    (_score_plain if is_plain else _score)(path, rows[:, _OBJECTS:])
    seconds = time.perf_counter() - start
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
  return {'seconds': seconds, 'peak GB': peak}


def measure(options: Any) -> None:
  """Prints seconds and peak memory of both, and the ratios."""
  jobs = {p: turns.in_own_process('scoring', p) for p in (True, False)}
  results = turns.measure(jobs, options.rounds or _ROUNDS)
  for figure, most in (('seconds', 0.5), ('peak GB', 1)):
    ours, plain = (results.median(p, figure) for p in (False, True))
    ratio = results.ratio(False, True, figure)
    print(
      f'{figure}: evaluator {ours:.2f}, faster-coco-eval {plain:.2f}, ratio '
      f'{ratio:.2f} (at most {most})'
    )
