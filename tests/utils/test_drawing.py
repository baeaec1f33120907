"""Boxes and labels on images."""

import io
import os

import numpy as np
from PIL import Image

from utils import drawing, fonts, mask_utils

_NAMES = {1: 'cell', 2: 'platelet'}


def _black(height=200, width=300):
  return np.zeros([height, width, 3], np.uint8)


def _has_color(picture, color):
  return (np.asarray(picture) == color).all(-1)


def test_a_box_has_the_color_of_its_class():
  image = _black()
  picture = drawing.draw_detections(
    image, np.array([[60, 50, 160, 250]]), np.array([2]), None, _NAMES
  )
  assert isinstance(picture, Image.Image)
  assert picture.size == (300, 200)
  assert not image.any()  # the input is not drawn on
  colored = _has_color(picture, drawing.class_color(2))
  assert colored[60:161, 50].all()
  assert colored[60:161, 250].all()
  assert colored[160, 50:251].all()
  # The label stands on the box and does not reach into it.
  assert colored[45:60, 50:100].any()
  assert not np.asarray(picture)[62:158, 52:248].any()
  assert not np.asarray(picture)[:40].any()


def test_colors_of_neighbouring_classes_differ():
  colors = np.array([drawing.class_color(i) for i in range(10)], float)
  distances = np.linalg.norm(colors[:, None] - colors, axis=-1)
  assert distances[~np.eye(10, dtype=bool)].min() > 30


def test_lines_grow_with_the_image():
  widths = []
  for side in (240, 960):
    picture = drawing.draw_detections(
      _black(side, side), [[0.5 * side, 40, side - 20, side - 20]], [1]
    )
    colored = _has_color(picture, drawing.class_color(1))
    widths.append(colored[int(0.75 * side), : side // 2].sum())
  assert widths == [1, 4]


def test_absent_and_low_detections_are_left_out():
  boxes = np.array([[10, 10, 90, 90], [100, 100, 180, 180], [50, 200, 90, 290]])
  picture = drawing.draw_detections(
    _black(), boxes, [1, 2, 3], np.array([0.9, 0.0, 0.2]), min_score=0.3
  )
  assert _has_color(picture, drawing.class_color(1)).any()
  assert not _has_color(picture, drawing.class_color(2)).any()
  assert not _has_color(picture, drawing.class_color(3)).any()


def test_images_without_boxes_and_boxes_without_area_stay_black():
  for boxes in (np.zeros([0, 4]), np.array([[10, 10, 10, 50]])):
    picture = drawing.draw_detections(_black(), boxes, np.ones(len(boxes)))
    assert not np.asarray(picture).any()


def test_boxes_beyond_the_image_are_cut_off():
  picture = drawing.draw_detections(_black(), [[-50, -20, 500, 900]], [1])
  colored = _has_color(picture, drawing.class_color(1))
  assert colored[:, 0].all()
  assert colored[:, -1].all()


def test_labels_do_not_cover_one_another(monkeypatch):
  places = []
  draw_label = drawing._draw_label

  def record(draw, place, *rest):
    places.append(place)
    draw_label(draw, place, *rest)

  monkeypatch.setattr(drawing, '_draw_label', record)
  random = np.random.RandomState(0)
  corners = random.uniform(0, [150, 220], [40, 2])
  boxes = np.concatenate([corners, corners + [40, 60]], axis=1)
  drawing.draw_detections(
    _black(), boxes, np.ones(40, int), np.linspace(1, 0.5, 40), _NAMES
  )
  assert len(places) >= 20
  for left, top, right, bottom in places:
    assert 0 <= left < right <= 300
    assert 0 <= top < bottom <= 200
  covered = np.zeros([200, 300], int)
  for left, top, right, bottom in places:
    covered[top:bottom, left:right] += 1
  assert covered.max() == 1


def test_equal_boxes_get_labels_side_by_side(monkeypatch):
  texts = []
  monkeypatch.setattr(
    drawing, '_draw_label', lambda draw, place, text, *_: texts.append(text)
  )
  boxes = [[50, 50, 150, 250]] * 3
  drawing.draw_detections(_black(), boxes, [1, 2, 9], [0.5, 0.9, 0.7], _NAMES)
  assert texts == ['platelet 90%', '9 70%', 'cell 50%']


def test_names_without_glyphs_go_by_their_ids(monkeypatch, caplog, tmp_path):
  monkeypatch.setattr(fonts, '_system_fonts', lambda: [str(tmp_path / 'no')])
  fonts._path_for.cache_clear()

  def draw(class_id, names):
    picture = drawing.draw_detections(
      _black(), [[40, 10, 100, 150]], [class_id], [0.9], names
    )
    return np.asarray(picture).tolist()

  names = {1: '红细胞', 2: '혈구', 3: '🩸'}
  in_latin = {1: '1 (HongXiBao)', 2: '2 (HyeolGu)', 3: '3 (:drop_of_blood:)'}
  for class_id in names:
    assert draw(class_id, names) == draw(class_id, in_latin)
  (line,) = caplog.messages
  assert '3 class names (' in line and '红细胞' in line
  accented = {1: 'Größe', 2: 'эритроцит'}
  assert draw(1, accented) != draw(1, None)
  assert draw(2, accented) != draw(2, None)


def test_a_font_of_the_machine_draws_what_the_usual_one_lacks(monkeypatch):
  # Stands in for a font with Chinese: it has characters that that one lacks.
  maths = os.path.join(os.path.dirname(fonts._default()), 'STIXGeneral.ttf')
  (missing, *_) = sorted(
    fonts._characters(maths) - fonts._characters(fonts._default())
  )
  monkeypatch.setattr(fonts, '_system_fonts', lambda: [maths])
  fonts._path_for.cache_clear()
  name = chr(missing)
  assert fonts.load(20, name).path == maths
  assert fonts.load(20, 'cell').path == fonts._default()
  assert fonts.drawable(frozenset({(1, name)})) == {1: name}


def test_masks_are_filled_and_outlined_in_shades():
  image = _black() + np.uint8(100)
  square = np.ones([60, 50], np.uint8)
  square[20:30, 20:30] = 0
  masks = [
    mask_utils.MaskWindow(30, 40, square),
    mask_utils.MaskWindow(30, 90, square),
    mask_utils.MaskWindow(200, 90, np.zeros([0, 50], np.uint8)),
  ]
  boxes = [[30, 40, 90, 90], [30, 90, 90, 140], [190, 90, 199, 140]]
  picture = drawing.draw_detections(
    image, boxes, [1, 1, 1], has_labels=False, masks=masks
  )
  pixels = np.asarray(picture).astype(int)
  colors = [drawing.mask_color(1, row) for row in (0, 1)]
  assert np.abs(np.subtract(*colors)).max() > 30
  for color, left in zip(colors, (40, 90)):
    np.testing.assert_array_equal(pixels[30, left + 10], color)  # outline
    np.testing.assert_array_equal(pixels[50, left + 19], color)  # of the hole
    inside = np.int64(0.6 * 100 + 0.4 * np.array(color))
    np.testing.assert_allclose(pixels[40, left + 10], inside, atol=1)
    assert (pixels[55, left + 25] == 100).all()
  assert (pixels[100:180] == 100).all()
  assert (image == 100).all()


def test_no_masks_are_drawn():
  picture = drawing.draw_detections(_black(), [], [], masks=[])
  np.testing.assert_array_equal(np.asarray(picture), _black())


def test_labels_hide_no_mask_of_another(monkeypatch):
  places = []
  monkeypatch.setattr(
    drawing, '_draw_label', lambda draw, place, *_: places.append(place)
  )
  boxes = [[y, x, y + 18, x + 28] for y in (0, 20, 40) for x in (0, 30, 60)]
  masks = [
    mask_utils.MaskWindow(y, x, np.ones([18, 28], np.uint8))
    for y, x, _, _ in boxes
  ]
  arguments = (_black(), boxes, [1] * 9, np.linspace(0.9, 0.5, 9), _NAMES)
  drawing.draw_detections(*arguments)
  hidden = np.zeros([200, 300])
  hidden[:58, :88] = 1

  def most_hidden():
    return max(
      hidden[y:bottom, x:right].mean() for x, y, right, bottom in places
    )

  assert most_hidden() > 0.5
  places.clear()
  drawing.draw_detections(*arguments, masks=masks)
  assert places
  assert most_hidden() < 0.2


def test_a_class_map_has_the_colors_of_its_classes_and_a_legend():
  class_map = np.zeros([200, 300], int)
  class_map[50:150, 100:200] = 2
  class_map[170:190, 100:110] = 1
  class_map[180:, 250:] = -1
  picture = drawing.draw_class_map(Image.fromarray(_black()), class_map, _NAMES)
  assert picture.size == (300, 200)
  pixels = np.asarray(picture)
  # Edges are in full colour, and the inside is a shade of it.
  color = np.array(drawing.class_color(2))
  assert (pixels[100, 100] == color).all()
  np.testing.assert_allclose(pixels[100, 150], 0.4 * color, atol=1)
  assert not pixels[100, 90].any()
  assert (pixels[195, 270] == 120).all()
  # What has more pixels stands first, and no class 0.
  is_first = _has_color(picture, drawing.class_color(2))[:12, :30]
  is_second = _has_color(picture, drawing.class_color(1))[14:26, :30]
  assert is_first.mean() > 0.5 and is_second.mean() > 0.5
  assert not pixels[30:45, :30].any()


def test_a_class_map_without_a_class_that_counts_is_pale():
  picture = drawing.draw_class_map(
    Image.fromarray(_black(20, 30)), np.full([20, 30], -1)
  )
  assert (np.asarray(picture) == 120).all()


def test_a_png_of_a_class_map_has_classes_as_indices():
  class_map = np.arange(256, dtype=np.uint8).reshape(16, 16)
  for is_overlay in (False, True):
    png = drawing.class_map_png(class_map, is_overlay)
    with Image.open(io.BytesIO(png)) as image:
      assert image.mode == 'P'
      np.testing.assert_array_equal(np.asarray(image), class_map)
      colors = np.asarray(image.convert('RGBA'))
    assert tuple(colors[0, 7]) == (*drawing.class_color(7), 255)
    assert tuple(colors[0, 0]) == (0, 0, 0, 0 if is_overlay else 255)
