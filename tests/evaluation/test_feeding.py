"""Work of the evaluator for each batch of a large set."""

import pytest

from evaluation import annotation_file as annotation_file_lib
from evaluation import coco_evaluator
from tests.evaluation import hand_made_batches


class _CountedId(int):
  """An image id that counts how often it is looked at."""

  num_looks = 0

  def __hash__(self):
    _CountedId.num_looks += 1
    return int.__hash__(self)

  def __eq__(self, other):
    _CountedId.num_looks += 1
    return int.__eq__(self, other)


@pytest.mark.parametrize('num_images', [1000, 50000])
def test_feeding_looks_at_each_known_image_once(num_images, monkeypatch):
  images = [
    {'id': _CountedId(number), 'height': 480, 'width': 640}
    for number in range(num_images)
  ]
  content = {'images': images, 'annotations': [], 'categories': []}
  monkeypatch.setattr(
    annotation_file_lib, 'load_annotations', lambda *_, **__: content
  )
  evaluator = coco_evaluator.COCOEvaluator('annotations.json')
  _CountedId.num_looks = 0
  for start in range(0, num_images, 500):
    ids = range(start, start + 500)
    evaluator.update(hand_made_batches.predictions(dict.fromkeys(ids, [])))
  assert _CountedId.num_looks == num_images
