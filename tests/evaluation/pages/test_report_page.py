"""The report of a small run: its numbers, and the page in a real browser."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from evaluation import detection_file
from evaluation.pages import (
  compare_page,
  report_page,
  run_results,
)
from tests import chromium, programs, record_factory
from tests.evaluation.pages import shown_metrics
from tools import score_detections
from utils import errors

_ATTACK = '</script><script>window.hacked=1</script>'
_NUM_IMAGES = 4


def _box(image_id, class_id, *bbox, **more):
  found = {'image_id': image_id, 'category_id': class_id, 'bbox': list(bbox)}
  return {**found, 'area': bbox[2] * bbox[3], 'iscrowd': 0, **more}


# Each image has a cat on the left and a dog on the right; a crowd in the last.
_TRUTH = {
  'images': [
    {'id': i, 'height': 80, 'width': 120, 'file_name': f'image{i}.png'}
    for i in range(1, _NUM_IMAGES + 1)
  ],
  'annotations': [
    *(
      _box(i, class_id, x, 10, 40, 40, id=10 * i + class_id)
      for i in range(1, _NUM_IMAGES + 1)
      for class_id, x in ((1, 10), (2, 70))
    ),
    _box(4, 1, 0, 60, 120, 20, id=99, iscrowd=1),
  ],
  'categories': [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': _ATTACK}],
}
_FOUND = [
  _box(1, 1, 10, 10, 40, 40, score=0.9),
  _box(1, 2, 70, 10, 40, 38, score=0.8),
  _box(2, 1, 10, 10, 40, 40, score=0.85),
  _box(2, 1, 11, 10, 40, 40, score=0.6),  # a duplicate
  _box(2, 1, 70, 10, 40, 40, score=0.7),  # a dog
  _box(3, 1, 10, 10, 40, 15, score=0.95),  # too small
  _box(3, 2, 60, 60, 10, 10, score=0.75),  # background
]


def _written(directory, found=_FOUND, truth=_TRUTH):
  for entry in truth['images']:
    pixels = record_factory.pixels(80, 120, entry['id'])
    Image.fromarray(pixels).save(str(directory / entry['file_name']))
  (directory / 'found.json').write_text(json.dumps(found))
  (directory / 'truth.json').write_text(json.dumps(truth))
  return directory / 'found.json', directory / 'truth.json'


def _report(directory, *arguments):
  output = directory / 'report.html'
  run = programs.run(
    'tools/report.py', *arguments, f'--images={directory}', f'--output={output}'
  )
  assert run.returncode == 0, run.stderr
  assert f"'{output}'; open it in a browser." in run.stderr
  return output


@pytest.fixture(scope='module')
def written(tmp_path_factory):
  directory = tmp_path_factory.mktemp('report')
  return _report(directory, *_written(directory))


@pytest.fixture(scope='module')
def browser():
  with chromium.browser() as driver:
    yield driver


@pytest.fixture
def opened(browser, written):
  browser.get(f'file://{written}')
  yield browser
  assert browser.get_log('browser') == []
  assert browser.execute_script('return window.hacked') is None


def test_numbers_are_those_of_the_evaluation(written):
  expected = score_detections.score(
    json.loads(json.dumps(_FOUND)), json.loads(json.dumps(_TRUTH))
  )
  assert len(expected) == 12
  assert shown_metrics.read(written) == expected
  addresses = set(re.findall('https?://[^/"]*', written.read_text()))
  assert addresses <= {'http://www.w3.org'}  # Names of XML.


def _column(opened, section, number):
  cells = opened.find_elements(
    By.CSS_SELECTOR, f'#{section} tbody td:nth-child({number})'
  )
  return [cell.text for cell in cells]


def test_sorting(opened):
  ap = opened.find_elements(By.CSS_SELECTOR, '#classes th button')[2]
  assert _column(opened, 'classes', 1) == ['cat', _ATTACK]
  assert _column(opened, 'classes', 2) == ['4', '4']
  before = _column(opened, 'classes', 3)
  ap.send_keys(Keys.ENTER)
  assert _column(opened, 'classes', 3) == sorted(before, reverse=True)
  ap.click()
  assert _column(opened, 'classes', 3) == sorted(before)


def _gallery(opened, number):
  return opened.find_elements(By.CLASS_NAME, 'gallery')[number]


def _captions(gallery):
  captions = gallery.find_elements(By.TAG_NAME, 'figcaption')
  return [caption.text for caption in captions if caption.is_displayed()]


def _choose(element, value):
  element.find_element(By.CSS_SELECTOR, f'option[value="{value}"]').click()


def test_worst_images_come_first(opened):
  captions = _captions(_gallery(opened, 0))
  # By hand: the best score of cats is 0.85, that of dogs 0.8.
  assert captions == [
    'image3.png: 0 right, 1 wrong, 2 missed',
    'image4.png: 0 right, 0 wrong, 2 missed',
    'image2.png: 1 right, 0 wrong, 1 missed',
  ]


def test_filters(opened):
  gallery = _gallery(opened, 1)
  of_class, of_type = gallery.find_elements(By.TAG_NAME, 'select')
  assert [o.text for o in of_type.find_elements(By.TAG_NAME, 'option')] == [
    'all',
    'background',
    'classification',
    'duplicate',
    'localisation',
  ]
  assert len(_captions(gallery)) == 4
  _choose(of_type, 'classification')
  assert _captions(gallery) == [
    f'classification: cat 70%, IoU 1.00 with {_ATTACK}'
  ]
  _choose(of_class, _ATTACK)
  assert _captions(gallery) == []
  _choose(of_type, '')
  assert _captions(gallery) == [f'background: {_ATTACK} 75%']


def test_score_slider(opened):
  gallery = _gallery(opened, 0)
  opened.execute_script('arguments[0].scrollIntoView()', gallery)
  count = "return arguments[0].querySelectorAll('rect').length"
  slider = gallery.find_element(By.CSS_SELECTOR, 'input[type=range]')
  slider.send_keys(Keys.HOME)
  WebDriverWait(opened, 10).until(
    lambda _: opened.execute_script(count, gallery) == 10
  )
  # What is not found has no score.
  slider.send_keys(Keys.END)
  assert opened.execute_script(count, gallery) == 5


def test_keyboard(opened):
  buttons = _gallery(opened, 0).find_elements(By.CSS_SELECTOR, 'figure button')
  buttons[1].send_keys(Keys.ENTER)
  large = opened.find_element(By.ID, 'large')
  position = opened.find_element(By.ID, 'large-position')
  assert large.is_displayed() and position.text == '2 of 3'
  titles = [
    f.text.split('\n')[0]
    for f in large.find_elements(By.TAG_NAME, 'figcaption')
  ]
  assert titles == ['Groundtruth', 'Detections']

  def press(*keys):
    opened.switch_to.active_element.send_keys(*keys)

  press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
  assert position.text == '1 of 3'
  press(Keys.ARROW_LEFT)
  assert position.text == '3 of 3'
  for _ in range(6):
    press(Keys.TAB)
    assert opened.execute_script(
      'return document.activeElement === document.body || '
      'document.getElementById("large").contains(document.activeElement)'
    )
  press(Keys.ESCAPE)
  assert not large.is_displayed()
  # The one that was shown last has the focus.
  shown = opened.switch_to.active_element.get_attribute('aria-label')
  assert shown.startswith('Open image2.png')


def test_classes_of_curves(opened):
  select = opened.find_element(By.CSS_SELECTOR, '#curves select')

  def visible():
    groups = opened.find_elements(By.CSS_SELECTOR, '#curves [id^=pr-]')
    return sorted(g.get_attribute('id') for g in groups if g.is_displayed())

  assert visible() == ['pr-all'] * 3
  _choose(select, '2')
  assert visible() == ['pr-2'] * 3


def test_both_themes_and_a_phone(opened):
  colors = set()
  for scheme in ('light', 'dark'):
    opened.execute_cdp_cmd(
      'Emulation.setEmulatedMedia',
      {'features': [{'name': 'prefers-color-scheme', 'value': scheme}]},
    )
    body = opened.find_element(By.TAG_NAME, 'body')
    text = opened.find_element(By.CSS_SELECTOR, 'svg.plot text')
    ink = body.value_of_css_property('color')
    fill = text.value_of_css_property('fill')
    assert re.findall(r'\d+', fill)[:3] == re.findall(r'\d+', ink)[:3]
    colors.add(ink)
  assert len(colors) == 2
  opened.execute_cdp_cmd(
    'Emulation.setDeviceMetricsOverride',
    {'width': 390, 'height': 800, 'deviceScaleFactor': 1, 'mobile': True},
  )
  width = opened.execute_script('return document.documentElement.scrollWidth')
  opened.execute_cdp_cmd('Emulation.clearDeviceMetricsOverride', {})
  assert width == 390


def test_masks(tmp_path):
  def with_mask(row):
    x, y, w, h = row['bbox']
    polygon = [x, y, x + w, y, x + w, y + h, x, y + h]
    return {**row, 'segmentation': [polygon]}

  truth = {**_TRUTH, 'annotations': list(map(with_mask, _TRUTH['annotations']))}
  paths = _written(tmp_path, list(map(with_mask, _FOUND)), truth)
  output = tmp_path / 'report.html'
  results = run_results.Results(
    'masks', *detection_file.load(*map(str, paths)), images=str(tmp_path)
  )
  report_page.write(str(output), results)
  metrics = shown_metrics.read(output)
  assert len(metrics) == 24 and metrics['mask_AP'] == metrics['AP']
  # The outline of the first cat.
  assert '"M10 10 10 50 50 50 50 10Z"' in output.read_text()

  # Where one run has boxes alone, those are compared.
  boxes = results._replace(
    title='boxes', predictions=json.loads(json.dumps(_FOUND))
  )
  compare_page.write(str(output), results, boxes)
  assert (
    '4 images.' in output.read_text() and ', masks' not in output.read_text()
  )
  classes = run_results.Results('classes', [])
  with pytest.raises(errors.DataError, match='need boxes, or masks'):
    compare_page.write(str(output), results, classes)


def test_nothing_is_found(tmp_path):
  nothing = _box(1, 1, 0, 0, 0, 0, score=0.0)
  output = tmp_path / 'report.html'
  truth = json.loads(json.dumps(_TRUTH))
  report_page.write(
    str(output), run_results.Results('nothing', [nothing], truth)
  )
  assert shown_metrics.read(output)['AP'] == 0
  text = output.read_text()
  assert 'None: no images were given' in text
  few = "2 of 2 classes have fewer than 20 medium ones, such as 'cat' with 4."
  assert f'APm and ARm hang on few objects: {few}' in text
  assert 'No object is small. No object is large.' in text


def test_comparison(tmp_path):
  found, truth = _written(tmp_path)
  better = [*_FOUND, _box(4, 1, 10, 10, 40, 40, score=0.9)]
  # Files of one name go by their paths.
  other = tmp_path / 'other' / 'found.json'
  other.parent.mkdir()
  other.write_text(json.dumps(better))
  run = programs.run(
    'tools/report.py',
    '--compare',
    *(found, other, truth),
    f'--images={tmp_path}',
    f'--output={tmp_path}/both.html',
  )
  assert run.returncode == 0, run.stderr
  text = (tmp_path / 'both.html').read_text()
  assert f'<h1>{found} and {other}</h1>' in text
  first, second = (
    score_detections.score(rows, json.loads(json.dumps(_TRUTH)))['AP']
    for rows in (json.loads(json.dumps(_FOUND)), better)
  )
  row = re.search(r'<tr><td>AP</td>(.*?)</tr>', text, re.S).group(1)
  values = [float(value) for value in re.findall('data-value="([^"]+)"', row)]
  np.testing.assert_allclose(values, [first, second, second - first], atol=1e-7)
  assert text.count('image4.png: 2 errors, then 1') == 1


def test_images_that_cannot_be_read_are_counted(tmp_path):
  paths = map(str, _written(tmp_path))
  (tmp_path / 'image3.png').write_bytes(b'no image')
  output = tmp_path / 'report.html'
  results = run_results.Results(
    'some', *detection_file.load(*paths), images=str(tmp_path)
  )
  report_page.write(str(output), results)
  text = output.read_text()
  assert 'Left out: 1 image that' in text
  assert 'image3.png' not in text and 'image4.png' in text


def test_classifier(tmp_path):
  records = record_factory.write_records(
    tmp_path / 'set.tfrecord', map(record_factory.with_mask, range(4))
  )
  predictions = [
    {
      'image_id': i,
      'class_id': 1,
      'predicted': [first, 3],
      'scores': [score, 0],
    }
    for i, (first, score) in enumerate([(1, 0.5), (2, 0.6), (2, 0.9), (1, 1.0)])
  ]
  output = tmp_path / 'report.html'
  report_page.write(
    str(output),
    run_results.Results(
      'classes', predictions, names={1: 'red', 2: 'blue'}, images=records
    ),
  )
  metrics = {'top_1_accuracy': 0.5, 'top_5_accuracy': 0.5}
  assert shown_metrics.read(output) == metrics
  captions = re.findall('"caption": "(.*?)"', output.read_text())
  assert captions == ['red, taken for blue 90%', 'red, taken for blue 60%']
  assert '>2</td><td style="--share: 0.500"' in output.read_text()


@pytest.mark.parametrize(
  'arguments, message',
  [
    ([], 'one of annotations, or an existing model_dir; given: nothing.'),
    (['found.json', 'truth.json', '--images=.'], "'.' holds none of 3 images"),
    (['found.json', 'truth.json', '--images=a*'], "No file matches 'a*'"),
    (
      ['found.json', 'truth.json', '--images=truth.json'],
      "'truth.json' holds no TFRecords of images (corrupted record at 0",
    ),
    (['found.json', 'truth.json', '--output=.'], "'.' is a folder"),
    (['.', '.'], 'or an existing model_dir; given: . .'),
    (['.'], "params.yaml' cannot be read"),
    # A URL, as of a bucket.
    (['file:///dev'], "'file:///dev/params.yaml' cannot be read"),
  ],
)
def test_errors(tmp_path, arguments, message):
  _written(tmp_path)
  (tmp_path / 'empty').mkdir()
  script = f'{programs.ROOT}/tools/report.py'
  for name in ('found.json', 'truth.json'):
    (tmp_path / 'empty' / name).write_text((tmp_path / name).read_text())
  run = programs.run(script, *arguments, cwd=tmp_path / 'empty')
  assert run.returncode not in (0, None)
  assert message in run.stderr and 'Traceback' not in run.stderr
  assert not (tmp_path / 'empty' / 'report.html').exists()
