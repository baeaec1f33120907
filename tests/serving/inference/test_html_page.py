"""The page, in a real browser."""

import json
import os
import re

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from serving.inference import detection_files, html_page
from serving.predictors import predictor
from tests.serving.inference import results
from utils import drawing

_ATTACK = '</script><script>window.hacked=1</script><img onerror=hacked=1>.jpg'


def _writer(path, max_images=100, names=None):
  return html_page.HtmlWriter(
    str(path),
    'A <title>',
    names or results.LABEL_MAP,
    min_score=0.3,
    max_images=max_images,
  )


def _write(path, *added, **kwargs):
  writer = _writer(path, **kwargs)
  for result in added:
    writer.add(result)
  assert not path.exists()
  writer.close()
  return 'file://' + str(path)


def _without_dog(name):
  result = results.result(name)
  found = predictor.ImageDetections(*(f[:1] for f in result.detections[:3]))
  return result._replace(detections=found)


@pytest.fixture
def page(browser, tmp_path):
  url = _write(
    tmp_path / 'page.html',
    results.result('/pictures/a.jpg', note='first of 2 frames'),
    _without_dog('/pictures/' + _ATTACK),
    results.result('/pictures/c.jpg', size=(400, 600)),
  )
  browser.get(url)
  yield browser
  assert browser.get_log('browser') == []


def _text(page, element_id):
  return page.find_element(By.ID, element_id).text


def _rectangles(page, count):
  """Waits for a number of boxes on the thumbnails; returns their colours."""
  WebDriverWait(page, 10).until(
    lambda _: len(page.find_elements(By.CSS_SELECTOR, 'main rect')) == count
  )
  return [
    rect.get_attribute('stroke')
    for rect in page.find_elements(By.CSS_SELECTOR, 'main rect')
  ]


def _set_slider(page, value):
  page.execute_script(
    'const s = document.getElementById("score"); s.value = arguments[0];'
    's.dispatchEvent(new Event("input"));',
    value,
  )


def _labels(page):
  return [label.text for label in page.find_elements(By.CLASS_NAME, 'label')]


def test_slider_acts_on_boxes_and_counts(page):
  assert page.title == 'A <title>'
  assert _text(page, 'count') == '5 detections in 3 images'
  _rectangles(page, 5)
  _set_slider(page, 0.5)
  colors = _rectangles(page, 3)
  assert colors == ['#{:02x}{:02x}{:02x}'.format(*drawing.class_color(1))] * 3
  assert _text(page, 'count') == '3 detections in 3 images'
  assert _text(page, 'score-value') == '0.50'
  captions = page.find_elements(By.CSS_SELECTOR, 'figcaption')
  assert captions[0].text.split('\n') == ['a.jpg (first of 2 frames)', '1']
  _set_slider(page, 0.95)
  assert _rectangles(page, 0) == []
  # The keyboard moves it, too.
  page.find_element(By.ID, 'score').send_keys(Keys.HOME)
  assert _text(page, 'score-value') == '0.05'
  _rectangles(page, 5)


def test_classes_act_on_boxes_and_counts(page):
  chips = page.find_elements(By.CSS_SELECTOR, '#classes label')
  assert [chip.text.split('\n') for chip in chips] == [
    ['cat', '3'],
    ['dog <b>', '2'],
  ]
  chips[0].click()
  assert _text(page, 'count') == '2 detections in 3 images'
  colors = _rectangles(page, 2)
  assert colors == ['#{:02x}{:02x}{:02x}'.format(*drawing.class_color(2))] * 2
  page.find_element(By.ID, 'only-found').click()
  assert _text(page, 'count') == '2 detections in 2 images'
  figures = page.find_elements(By.TAG_NAME, 'figure')
  assert [f.is_displayed() for f in figures] == [True, False, True]
  page.find_element(By.ID, 'none').click()
  assert page.find_element(By.ID, 'nothing').is_displayed()
  page.find_element(By.ID, 'all').click()
  _rectangles(page, 5)


def test_thumbnail_opens_large_and_keys_work(page):
  large = page.find_element(By.ID, 'large')
  assert not large.is_displayed()
  button = page.find_elements(By.CSS_SELECTOR, 'figure button')[2]
  button.send_keys(Keys.ENTER)
  assert large.is_displayed()
  assert _text(page, 'large-name') == 'c.jpg'
  assert _text(page, 'large-position') == '3 of 3'
  assert _labels(page) == ['cat 90%', 'dog <b> 40%']
  rows = page.find_elements(By.CSS_SELECTOR, '#found li')
  assert [row.text.split('\n') for row in rows] == [
    ['cat', '90%'],
    ['dog <b>', '40%'],
  ]
  picture = page.find_element(By.CSS_SELECTOR, 'dialog img')
  WebDriverWait(page, 10).until(
    lambda _: picture.get_property('naturalWidth') == 600
  )
  assert picture.size['height'] < 900
  keys = page.switch_to.active_element
  keys.send_keys(Keys.ARROW_RIGHT)
  assert _text(page, 'large-name') == 'a.jpg'
  page.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
  assert _text(page, 'large-name') == 'c.jpg'
  page.switch_to.active_element.send_keys(Keys.ESCAPE)
  assert not large.is_displayed()
  assert page.switch_to.active_element == button


def test_filters_hold_for_the_large_view(page):
  page.find_elements(By.CSS_SELECTOR, '#classes label')[0].click()
  page.find_element(By.ID, 'only-found').click()
  page.find_elements(By.CSS_SELECTOR, 'figure button')[0].click()
  assert _labels(page) == ['dog <b> 40%']
  # Over the image that the filter hides.
  page.find_element(By.ID, 'next').click()
  assert _text(page, 'large-name') == 'c.jpg'
  page.find_element(By.ID, 'close').click()


def test_names_are_inert(page):
  assert page.execute_script('return window.hacked') is None
  captions = page.find_elements(By.CSS_SELECTOR, 'figcaption span')
  assert _ATTACK in [caption.text for caption in captions]
  # Even a script that got in would not run.
  page.execute_script(
    "document.body.append(Object.assign(document.createElement('div'), "
    "{innerHTML: '<img src=x onerror=window.hacked=1>'}))"
  )
  assert page.execute_script('return window.hacked') is None
  assert any(
    'Content Security' in e['message'] for e in page.get_log('browser')
  )


def test_large_labels_do_not_cover_one_another(browser, tmp_path):
  random = np.random.RandomState(0)
  corners = random.uniform(0, [300, 500], [60, 2])
  crowd = results.result(size=(400, 600))._replace(
    detections=predictor.ImageDetections(
      np.float32(np.concatenate([corners, corners + 60], axis=1)),
      np.ones(60, np.int32),
      np.float32(np.linspace(0.99, 0.4, 60)),
    )
  )
  browser.get(_write(tmp_path / 'page.html', crowd))
  browser.find_element(By.CSS_SELECTOR, 'figure button').click()
  rectangles = browser.execute_script(
    "return [...document.querySelectorAll('.label')].map(l => {"
    'const r = l.getBoundingClientRect();'
    'return [r.left, r.top, r.right, r.bottom]; })'
  )
  assert 20 < len(rectangles) <= 60
  for number, a in enumerate(rectangles):
    for b in rectangles[:number]:
      assert (
        min(a[2], b[2]) - max(a[0], b[0]) < 0.1
        or min(a[3], b[3]) - max(a[1], b[1]) < 0.1
      )


def test_masks_are_switched_all_or_one_by_one(browser, tmp_path):
  url = _write(
    tmp_path / 'page.html', results.masked_result(), results.result('b.jpg')
  )
  browser.get(url)

  def paths(where):
    return browser.find_elements(By.CSS_SELECTOR, where + ' path')

  WebDriverWait(browser, 10).until(lambda _: len(paths('main')) == 2)
  _rectangles(browser, 4)
  # The best lies on top.
  dog, cat = [
    (path.get_attribute('fill'), path.get_attribute('d'))
    for path in paths('main')
  ]
  assert cat[0] != dog[0]
  assert re.match(r'M\d+ \d+ .*Z$', cat[1])
  browser.find_elements(By.CSS_SELECTOR, 'figure button')[0].click()
  assert len(paths('dialog')) == 2
  browser.find_elements(By.CSS_SELECTOR, '#found input')[1].click()
  assert [p.get_attribute('d') for p in paths('dialog')] == [cat[1]]
  browser.find_element(By.CSS_SELECTOR, 'dialog .masks-on').click()
  assert paths('dialog') == paths('main') == []
  browser.find_element(By.ID, 'close').click()
  browser.find_element(By.CSS_SELECTOR, 'header .masks-on').click()
  assert len(paths('main')) == 1
  assert browser.get_log('browser') == []


def test_without_masks_there_is_no_switch(page):
  switches = page.find_elements(By.CLASS_NAME, 'masks-on')
  assert len(switches) == 2
  assert not any(switch.is_displayed() for switch in switches)


def test_hundreds_of_images_load_as_they_come_near(browser, tmp_path):
  added = [results.result(f'{i}.jpg') for i in range(500)]
  browser.get(_write(tmp_path / 'page.html', *added, max_images=500))
  assert _text(browser, 'count') == '1,000 detections in 500 images'
  loaded = 'return document.querySelectorAll("main img[src]").length'
  WebDriverWait(browser, 10).until(
    lambda _: 0 < browser.execute_script(loaded) < 100
  )
  last = browser.find_elements(By.TAG_NAME, 'figure')[-1]
  browser.execute_script('arguments[0].scrollIntoView()', last)
  image = last.find_element(By.TAG_NAME, 'img')
  WebDriverWait(browser, 10).until(
    lambda _: image.get_property('naturalWidth') == 60
  )
  assert browser.execute_script(loaded) < 100
  assert browser.get_log('browser') == []


def test_images_beyond_the_limit_are_left_out(tmp_path):
  path = tmp_path / 'page.html'
  _write(path, *[results.result(f'n{i}.jpg') for i in range(3)], max_images=2)
  text = path.read_text()
  assert 'n1.jpg' in text and 'n2.jpg' not in text
  assert '1 further images are not on this page' in text


def test_the_page_needs_nothing_else(tmp_path):
  path = tmp_path / 'page.html'
  _write(path, results.result(), names={1: 'cat</script>', 2: '<i>'})
  text = path.read_text().replace('http://www.w3.org/2000/svg', '')
  assert not re.search(r'https?:|src="(?!data:)|href="(?!data:)', text)
  # One for data, one for each of two pictures, one that runs.
  assert text.count('</script>') == 4
  assert os.listdir(str(tmp_path)) == ['page.html']


def test_page_and_table_count_the_same(tmp_path):
  result = results.result()
  scores = np.concatenate([np.full(120, 0.6), [0.69999, 0.7, 0.3]])
  count = len(scores)
  result = result._replace(
    detections=predictor.ImageDetections(
      np.tile(np.float32([[2, 3, 30, 40]]), [count, 1]),
      np.ones(count, np.int32),
      scores.astype(np.float32),
    )
  )
  for min_score in (0.6, 0.7, 0.3):
    page = html_page.HtmlWriter(
      str(tmp_path / 'page.html'), 'title', None, min_score, max_images=9
    )
    table = detection_files.CsvWriter(str(tmp_path / 't.csv'), None, min_score)
    for writer in (page, table):
      writer.add(result)
      writer.close()
    text = (tmp_path / 'page.html').read_text()
    data = json.loads(
      re.search(r'<script id="data"[^>]*>(.*?)</script>', text).group(1)
    )
    (image,) = data['images']
    # The comparison of the page's script.
    shown = [d for d in image['detections'] if d[1] >= data['minScore']]
    rows = (tmp_path / 't.csv').read_text().splitlines()[1:]
    assert len(shown) == len(rows)
  assert len(rows) == count


def test_discarded_page(tmp_path):
  writer = _writer(tmp_path / 'page.html')
  writer.add(results.result())
  writer.discard()
  assert os.listdir(str(tmp_path)) == []
