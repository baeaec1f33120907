"""The page, in a real browser."""

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from executor.inference import html_page
from tests import chromium
from tests.executor.inference import results

_ATTACK = '</script><script>window.hacked=1</script><img onerror=hacked=1>.jpg'


def _write(path, *names):
  writer = html_page.HtmlWriter(
    str(path), 'A <title>', results.LABEL_MAP, max_boxes=100, min_score=0.3
  )
  for name in names:
    writer.add(results.result(name, note='first of 2 frames'))
  assert not path.exists()
  writer.close()
  return 'file://' + str(path)


@pytest.fixture(scope='module')
def page(tmp_path_factory):
  path = tmp_path_factory.mktemp('page') / 'page.html'
  url = _write(path, 'a.jpg', _ATTACK, 'c.jpg')
  assert 'http' not in path.read_text().replace('http://www.w3.org/2000', '')
  with chromium.browser() as driver:
    driver.get(url)
    yield driver


def _count(page):
  return page.find_element(By.ID, 'count').text


def _rectangles(page):
  return len(page.find_elements(By.CSS_SELECTOR, 'main rect'))


def _set_slider(page, value):
  page.execute_script(
    'const s = document.getElementById("score"); s.value = arguments[0];'
    's.dispatchEvent(new Event("input"));',
    value,
  )


def test_slider_and_classes_act_on_boxes(page):
  assert page.title == 'A <title>'
  assert _count(page) == '6 detections in 3 images'
  assert _rectangles(page) == 6
  _set_slider(page, 0.5)
  assert _count(page) == '3 detections in 3 images'
  assert _rectangles(page) == 3
  _set_slider(page, 0.3)
  cat, dog = page.find_elements(By.CSS_SELECTOR, '#classes input')
  dog.click()
  assert _count(page) == '3 detections in 3 images'
  caption = page.find_element(By.CSS_SELECTOR, 'figcaption').text
  assert caption == 'a.jpg: 1 (first of 2 frames)'
  page.find_element(By.ID, 'none').click()
  assert _rectangles(page) == 0 and not cat.is_selected()
  page.find_element(By.ID, 'all').click()
  assert _rectangles(page) == 6 and dog.is_selected()
  labels = page.find_elements(By.CSS_SELECTOR, '#classes label')
  assert [label.text for label in labels] == ['cat', 'dog <b>']


def test_thumbnail_opens_large_and_keys_work(page):
  large = page.find_element(By.ID, 'large')
  assert not large.is_displayed()
  page.find_elements(By.CSS_SELECTOR, 'figure button')[2].click()
  assert large.is_displayed()
  assert page.find_element(By.ID, 'large-name').text == 'c.jpg'
  texts = [t.text for t in page.find_elements(By.CSS_SELECTOR, 'dialog text')]
  assert texts == ['cat 90%', 'dog <b> 40%']
  picture = page.find_element(By.CSS_SELECTOR, 'dialog img')
  assert picture.size['height'] < 900
  body = page.find_element(By.TAG_NAME, 'body')
  body.send_keys(Keys.ARROW_RIGHT)
  assert page.find_element(By.ID, 'large-name').text == 'a.jpg'
  body.send_keys(Keys.ARROW_LEFT)
  assert page.find_element(By.ID, 'large-name').text == 'c.jpg'
  body.send_keys(Keys.ESCAPE)
  assert not large.is_displayed()


def test_names_are_inert_and_nothing_fails(page):
  assert page.execute_script('return window.hacked') is None
  captions = page.find_elements(By.CSS_SELECTOR, 'figcaption')
  assert captions[1].text.startswith(_ATTACK)
  assert page.get_log('browser') == []
  sizes = page.execute_script(
    'return [...document.querySelectorAll("main img")].map(i => '
    '[i.naturalWidth, i.naturalHeight])'
  )
  assert sizes[0] == [60, 40]


def test_page_without_images(tmp_path):
  with chromium.browser() as driver:
    driver.get(_write(tmp_path / 'empty.html'))
    assert 'No image could be read.' in driver.page_source
    assert _count(driver) == '0 detections in 0 images'
    assert driver.get_log('browser') == []
