import numpy as np
import pytest

from tools.starter import facts as facts_lib
from tools.starter import networks, shape, step_cost


def _facts(sides, image_size=(480, 640), num_images=200):
  """200 images with objects of these sides, pixels."""
  rng = np.random.RandomState(0)
  size = np.resize(np.float64(sides), [2, num_images]).T
  start = rng.uniform(0, 1, size.shape) * (image_size - size)
  image_sizes = np.tile(np.int32(image_size), [num_images, 1])
  return facts_lib.Facts(
    num_images=num_images,
    num_evaluated=50,
    image_sizes=image_sizes,
    boxes=np.float32(np.hstack([start, start + size]) / (image_size * 2)),
    box_image_sizes=image_sizes,
    most_objects=1,
    num_classes=4,
    names={},
  )


@pytest.fixture
def speed(monkeypatch):
  """Of 100,000 pixels a second, whatever the network; half with level 2."""

  def multiply_adds(settings):
    return 2.0 if settings['architecture']['min_level'] == 2 else 1.0

  monkeypatch.setattr(step_cost, 'multiply_adds', multiply_adds)
  return lambda pixels: step_cost.Speed(float(pixels))


_SMALL = [networks.of_preset('small_cpu')]


def _choose(facts, speed, minutes=60.0, candidates=_SMALL):
  return shape.choose(facts, candidates, 60 * minutes, speed)


def test_time_without_start_export_and_evaluations():
  # An evaluation takes 12 + 50 / 25 s, and 5 % of 900 s hold three.
  assert shape.time_for(900, 10.0, 50) == (8230, 3)
  assert shape.time_for(20, 10.0, 50) == (0, 1)


def test_images_are_as_large_as_objects_need(speed):
  # 41 pixels of 640 become 20.5 in 320; for steps in plenty there is no time.
  facts = _facts([41])
  assert _choose(facts, speed(300_000)).size == (256, 320)
  # Now there is, for 32 pixels.
  assert _choose(facts, speed(2_000_000)).size == (384, 512)
  # Objects of twice the size need half of it.
  assert _choose(_facts([82]), speed(100_000)).size == (128, 160)


def test_time_bounds_the_image(speed):
  facts = _facts([20])
  slow = _choose(facts, speed(150_000), minutes=30)
  assert slow.steps(shape.SMALLEST_BATCH) >= shape.STEPS[False]
  assert slow.size < (480, 640)


def test_images_are_not_enlarged_and_keep_their_shape(speed):
  fast = speed(10**9)
  assert _choose(_facts([20], (300, 200)), fast).size == (320, 224)
  facts = _facts([20])
  sizes = np.where(np.arange(200)[:, np.newaxis] % 2, [480, 640], [640, 480])
  facts = facts._replace(image_sizes=np.int32(sizes))
  assert _choose(facts, fast).size == (640, 640)


def test_small_objects_get_a_finer_level(speed):
  assert _choose(_facts([12], (256, 256)), speed(10**7)).block.min_level == 2
  assert _choose(_facts([40], (256, 256)), speed(10**7)).block.min_level == 3
  spinenet = [networks.of_preset('spinenet49S_retinanet')]
  chosen = _choose(_facts([12], (256, 256)), speed(10**7), 60, spinenet)
  assert chosen.block.min_level == 3


def test_a_larger_network_has_to_see_enough_images(speed):
  candidates = networks.from_scratch()[:2]
  # 2 * 6400 / 5.8 images for each million parameters: 25,600 of 11.6.
  facts = _facts([21], (256, 320))
  pixels = 256 * 320

  def name(images):
    seconds = 3600 - 35 - 10 * (12 + 50 / (2.5 * images / 3300))
    chosen = _choose(facts, speed(images / seconds * pixels), 60, candidates)
    return chosen.network.preset.name, chosen.time.images

  assert name(25_000) == ('small_cpu', pytest.approx(25_000, rel=0.01))
  assert name(26_200) == ('bccd_yardstick', pytest.approx(26_200, rel=0.01))
