"""Objects that anchors or labels have no place for."""

import re

import pytest

from tests.evaluation.dataset import checked_sets


def test_objects_that_no_anchor_meets(tmp_path):
  """One thin box among three, at a class and a size of its own."""
  thin = checked_sets.record(4, boxes=[[0.1, 0.2, 0.9, 0.24]], classes=[2])
  params = checked_sets.write(tmp_path, train=[checked_sets.record(5), thin])
  (found,) = [
    finding
    for finding in checked_sets.check(params)[1]
    if finding.title == 'objects that no anchor meets'
  ]
  assert found.count == 1 and found.of == 'of 4 objects (25.0 %)'
  assert found.example == '100% of small; 33% of 2'
  assert found.details['unmet_shares']['2'] == pytest.approx(1 / 3)
  assert re.fullmatch(
    r'Enlarge retinanet_parser\.output_size, or fit the anchors: architecture: '
    r'.*anchor: {num_scales.* would meet 100\.0%\.',
    found.remedy,
  )
  assert found.images == [3] and found.objects == [3]


def _excess(folder, name, model, most=3, **settings):
  """What is found of images of 1, 1, 2, 3, 5 and 6 objects, 3 in crowds."""
  crowded = [
    checked_sets.crowded(i, *n)
    for i, n in enumerate([(2,), (3,), (5,), (6, 3)])
  ]
  parser = {'mask_rcnn': 'maskrcnn_parser'}.get(model, model + '_parser')
  blocks = {
    parser: {'max_num_instances': most},
    'eval': {'type': 'box', 'use_json_file': False, **settings},
  }
  if model == 'mask_rcnn':
    blocks['architecture'] = {'include_mask': False}
  train, test = (crowded, []) if name == 'training' else ([], crowded)
  params = checked_sets.write(folder, train, test, model, **blocks)
  return [
    finding
    for finding in checked_sets.check(params, decode_images=False)[1]
    if finding.title.startswith('images with more objects')
  ]


def test_training_counts_what_it_learns(tmp_path):
  (finding,) = _excess(tmp_path, 'training', 'mask_rcnn')
  assert str(finding) == (
    'train.train_file_pattern: images with more objects than labels hold (1 of '
    f"6 images), such as TFRecord file '{tmp_path}/train.tfrecord', record 4 "
    "(source id '2'): 5 objects. maskrcnn_parser.max_num_instances: 3 cuts 2 "
    'objects; 5 would hold all.'
  )
  assert not _excess(tmp_path, 'training', 'mask_rcnn', most=5)
  # All of its objects get anchors.
  assert not _excess(tmp_path, 'training', 'retinanet')


@pytest.mark.parametrize('model', ['mask_rcnn', 'retinanet'])
def test_evaluation_counts_what_batches_cut(tmp_path, model):
  (finding,) = _excess(tmp_path, 'evaluation', model)
  assert finding.count == 2 and '6 would hold all' in finding.remedy
  # The one that loses most is shown first.
  assert finding.images == [5, 4]
  # The annotation file has all of them.
  assert not _excess(tmp_path, 'evaluation', model, use_json_file=True)
