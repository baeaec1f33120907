"""What is shown of a data set: numbers, the page, the program."""

import json
import re

import numpy as np

from dataloader import record_files
from evaluation.dataset import (
  dataset_page,
  record_scan,
  statistics,
)
from tests import programs, record_factory
from tests.evaluation.dataset import checked_sets


def test_scan_gives_arrays(tmp_path):
  files = [
    record_factory.write_records(
      tmp_path / 'a', [checked_sets.record(1), b'\x07hm']
    ),
    record_factory.write_records(
      tmp_path / 'b',
      [
        checked_sets.crowded(5, 2, 1),
        checked_sets.record(6, height=[7], filename=[b'b.png']),
      ],
    ),
  ]
  contents = record_scan.scan(record_files.find_files(','.join(files)))
  assert contents.num_images == 3 and contents.num_records == 4
  assert contents.is_whole
  assert contents.file_indices.tolist() == [0, 1, 1]
  assert contents.record_indices.tolist() == [0, 0, 1]
  assert contents.source_ids == ['1', '5', '6']
  assert contents.file_names == ['', '', 'b.png']
  assert contents.sizes.tolist() == [[40, 60]] * 3
  assert contents.stated_sizes.tolist() == [[40, 60], [40, 60], [7, 60]]
  assert contents.classes.tolist() == [2, 1, 1, 1]
  assert contents.is_crowd.tolist() == [False, True, False, False]
  assert contents.image_indices.tolist() == [0, 1, 1, 2]
  assert contents.counts.tolist() == [1, 2, 1]
  np.testing.assert_allclose(contents.boxes[0], [0.1, 0.2, 0.6, 0.7])
  assert len(set(contents.hashes.tolist())) == 3
  assert contents.problems[0].record_index == 1
  sample = record_scan.scan(files, most=2)
  assert sample.num_images == 2 and not sample.is_whole


def test_statistics(tmp_path):
  params = checked_sets.write(
    tmp_path,
    train=[checked_sets.crowded(3, 3, 1)],
    texts={'label_map_file': '1:a\n2:b\n'},
  )
  data, findings = checked_sets.check(params)
  summary = statistics.summary(data, findings)
  json.dumps(summary, allow_nan=False)
  training = summary['sets']['training']
  assert training['images'] == 3 and training['objects'] == 5
  assert training['crowds'] == 1 and training['files'] == 1
  assert training['formats'] == {'PNG RGB': 3}
  assert training['image_heights']['50'] == 40.0
  assert training['objects_of_an_image']['100'] == 3.0
  assert summary['classes'] == [
    {'id': 1, 'name': 'a', 'training': 4, 'evaluation': 1},
    {'id': 2, 'name': 'b', 'training': 1, 'evaluation': 1},
  ]


def test_page_shows_what_was_found_once(tmp_path):
  """The wrong object is marked, and a picture that does not decode left out."""
  wrong = [
    checked_sets.record(
      3,
      classes=[9, 1],
      boxes=[[0.1, 0.2, 0.6, 0.7]] * 2,
      filename=[b'a.png'],
    ),
    checked_sets.record(4, encoded=b'GIF89a<script>'),
  ]
  params = checked_sets.write(
    tmp_path,
    train=wrong,
    test=[checked_sets.record(13, seed=2)],
    texts={'label_map_file': '1:<b>cell</b>\n2:b\n'},
  )
  data, findings = checked_sets.check(params)
  path = tmp_path / 'page.html'
  summary = statistics.summary(data, findings)
  dataset_page.write(str(path), 'my.yaml', findings, summary)
  text = path.read_text()
  assert '<h2>Error: class ids outside of what the model has</h2>' in text
  assert '<h2>Warning: pictures that the training set holds, too</h2>' in text
  items = [
    item
    for part in re.findall(
      r'<script type="application/json">(.*?)</script>', text
    )
    for item in json.loads(part)
  ]
  assert [item['caption'] for item in items] == [
    *['a.png, 3 (training)'] * 2,
    *['13 (evaluation)', '2 (training)'],
  ]
  names = {entry['title']: entry['file_names'] for entry in summary['findings']}
  assert names['class ids outside of what the model has'] == ['a.png']
  assert "(source id '3'), 'a.png': class id 9" in text.replace('&#39;', "'")
  assert [box[2] for box in items[0]['sides'][0][1]] == ['bad', 'truth']
  np.testing.assert_allclose(items[0]['sides'][0][1][0][0], [12, 4, 30, 20])
  # Each image once, though it is shown twice.
  assert text.count('data-width="60"') == 3
  assert '<b>cell' not in text and 'GIF89a' not in text


def test_program(tmp_path):
  checked_sets.write(tmp_path, train=[checked_sets.record(3, classes=[9])])
  config = tmp_path / 'my.yaml'
  config.write_text(
    """
architecture: {num_classes: 3}
anchor: {anchor_size: 4.0}
retinanet_parser: {output_size: [128, 192]}
train: {train_file_pattern: train.tfrecord}
eval: {eval_file_pattern: eval.tfrecord}
"""
  )

  def run(*more):
    return programs.run(
      'tools/check_dataset.py', config, f'--data_dir={tmp_path}', *more
    )

  process = run(f'--output_dir={tmp_path}')
  assert process.returncode == 1, process.stderr
  assert ' train.tfrecord, ' in process.stdout
  assert (
    '3 images of training, 2 images of evaluation: 1 finding, 1 error. Wrote '
  ) in process.stdout
  assert 'Traceback' not in process.stderr
  (finding,) = json.loads((tmp_path / 'dataset.json').read_text())['findings']
  assert finding['source_ids'] == ['3'] and finding['count'] == 1
  assert (tmp_path / 'dataset.html').exists()
  process = run(
    f'--output_dir={tmp_path}', '--params_override=architecture.num_classes=10'
  )
  assert process.returncode == 0, process.stderr
