"""The page in a real browser."""

import json
import urllib.request

import numpy as np
import pytest
from selenium.webdriver.support.ui import WebDriverWait

from tests import record_factory
from tests.serving.http import serving_run


@pytest.fixture(scope='module')
def server(tmp_path_factory):
  directory = tmp_path_factory.mktemp('page')
  checkpoint, _ = serving_run.write_checkpoint(directory)
  model = serving_run.export(
    directory / 'model', checkpoint, input_type='image_bytes'
  )
  with serving_run.serving(model, directory) as running:
    yield running


@pytest.fixture
def page(browser, server):
  browser.get(server.url + '/')
  return browser


def _status(page):
  return page.find_element('id', 'status').text


def _choose(page, path, awaited):
  page.find_element('id', 'file').send_keys(str(path))
  WebDriverWait(page, 30).until(lambda _: awaited in _status(page))


def _items(page):
  return [item.text for item in page.find_elements('css selector', '#list li')]


def _set_slider(page, value):
  page.execute_script(
    "const s = document.getElementById('score'); s.value = arguments[0];"
    "s.dispatchEvent(new Event('input'));",
    value,
  )


def _pixel(page, x, y):
  return page.execute_script(
    "return Array.from(document.getElementById('picture').getContext('2d')"
    '.getImageData(arguments[0], arguments[1], 1, 1).data)',
    x,
    y,
  )


def _picture(page):
  return page.execute_script(
    "return document.getElementById('picture').toDataURL()"
  )


@pytest.fixture(scope='module')
def photograph(tmp_path_factory):
  """Large enough that boxes and labels do not cover everything; grey."""
  path = tmp_path_factory.mktemp('photographs') / 'grey <i>.png'
  pixels = np.full([480, 640, 3], 128, np.uint8)
  pixels[100:300, 200:400] = record_factory.pixels(200, 200)
  path.write_bytes(record_factory.encode(pixels))
  return path


def _detections(server, path):
  with urllib.request.urlopen(
    server.url + '/detect', data=path.read_bytes()
  ) as response:
    return json.loads(response.read().decode('utf-8'))['detections']


def test_a_picture_is_shown_with_its_detections(page, server, photograph):
  expected = _detections(server, photograph)
  assert len(expected) > 3
  _set_slider(page, 0)
  _choose(page, photograph, 'detection')
  assert _status(page) == f'{len(expected)} detections.'
  # Names are text, whatever is in them.
  assert _items(page) == [
    # JavaScript rounds halves up.
    '{}\n{:.0f}%'.format(d['name'], np.floor(100 * d['score'] + 0.5))
    for d in expected
  ]
  assert 'grey <i>.png, 640 × 480' in page.find_element('id', 'facts').text
  canvas = page.find_element('id', 'picture')
  assert canvas.is_displayed()
  assert int(canvas.get_attribute('width')) == 640
  # The best box lies on top; the middle of its right side is its colour.
  ymin, _, ymax, xmax = expected[0]['box']
  color = [int(c) for c in expected[0]['color'][4:-1].split(',')]
  x, y = min(round(xmax), 639), round((ymin + ymax) / 2)
  np.testing.assert_allclose(_pixel(page, x, y)[:3], color, atol=30)
  severe = [e for e in page.get_log('browser') if e['level'] == 'SEVERE']
  assert severe == []


def test_the_page_is_named_after_the_model(page):
  assert page.title == 'model'
  assert page.find_element('css selector', 'h1').text == 'model'


@pytest.mark.parametrize('width', [400, 1200])
def test_labels_lie_in_the_picture_and_not_on_one_another(
  page, photograph, width
):
  page.set_window_size(width, 900)
  _set_slider(page, 0)
  _choose(page, photograph, 'detection')
  placed = page.execute_script(
    """
    const pen = canvas.getContext('2d');
    const scale = Math.max(1, canvas.width / canvas.clientWidth);
    return placeLabels(pen, visible(), Math.round(14 * scale), scale)
      .map(p => [p.x, p.y, p.x + p.width, p.y + p.height, p.d.score]);
    """
  )
  page.set_window_size(1200, 900)
  assert len(placed) > 1
  scores = [row[4] for row in placed]
  assert scores == sorted(scores, reverse=True)
  for i, (left, top, right, bottom, _) in enumerate(placed):
    assert 0 <= left < right <= 640 and 0 <= top < bottom <= 480
    for other in placed[:i]:
      assert (
        other[2] <= left
        or right <= other[0]
        or other[3] <= top
        or bottom <= other[1]
      )


def test_the_slider_hides_detections(page, server, photograph):
  expected = _detections(server, photograph)
  scores = [d['score'] for d in expected]
  _set_slider(page, 0)
  _choose(page, photograph, 'detection')
  before = _picture(page)
  threshold = round((scores[1] + scores[-1]) / 2, 2)
  _set_slider(page, threshold)
  count = sum(score >= threshold for score in scores)
  assert 0 < count < len(scores)
  assert len(_items(page)) == count
  assert f'{len(scores) - count} of lower scores hidden' in _status(page)
  assert _picture(page) != before


def test_what_is_no_picture_is_explained_and_the_next_one_works(
  page, photograph, tmp_path
):
  text = tmp_path / 'text.png'
  text.write_text('no picture')
  _choose(page, text, 'not an image')
  assert 'error' in page.find_element('id', 'status').get_attribute('class')
  _set_slider(page, 0)
  _choose(page, photograph, 'detections')
  assert _items(page)


def test_a_dropped_picture(page, photograph):
  _set_slider(page, 0)
  page.execute_async_script(
    """
    const done = arguments[0];
    const canvas = document.createElement('canvas');
    canvas.width = 100; canvas.height = 80;
    canvas.toBlob(blob => {
      const files = new DataTransfer();
      files.items.add(new File([blob], 'dropped.png', {type: 'image/png'}));
      window.dispatchEvent(new DragEvent('drop', {
        dataTransfer: files, cancelable: true}));
      done();
    });
    """
  )
  WebDriverWait(page, 30).until(lambda _: 'detection' in _status(page))
  assert 'dropped.png, 100 × 80' in page.find_element('id', 'facts').text


@pytest.mark.slow
def test_masks_can_be_switched_off(page, photograph):
  _set_slider(page, 0)
  _choose(page, photograph, 'detection')
  switch = page.find_element('css selector', '#masks input')
  assert not switch.is_displayed()
  page.execute_script(
    """
    const mask = [[10, 10, 100, 10, 100, 90, 10, 90]];
    detections = [{box: [10, 10, 90, 190], class: 1, name: 'a', score: 1,
                   color: 'rgb(0,200,0)', mask}];
    showMasks();
    show();
    """
  )
  assert switch.is_displayed()
  masked, beside = _pixel(page, 60, 60), _pixel(page, 150, 60)
  assert beside[:3] == [128] * 3
  assert masked[1] > masked[0] + 20
  switch.click()
  assert _pixel(page, 60, 60) == beside
