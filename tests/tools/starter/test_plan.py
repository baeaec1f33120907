import numpy as np
import pytest

from tools.starter import facts as facts_lib
from tools.starter import networks, plan, step_cost


def _facts(sides, image_size=(480, 640), num_images=200):
  """200 images with objects of these sides, pixels."""
  rng = np.random.RandomState(0)
  size = np.resize(np.float64(sides), [2, num_images]).T
  start = rng.uniform(0, 1, size.shape) * (image_size - size)
  image_sizes = np.tile(np.int32(image_size), [num_images, 1])
  return facts_lib.Facts(
    files=None,
    num_images=num_images,
    num_evaluated=50,
    image_sizes=image_sizes,
    boxes=np.float32(np.hstack([start, start + size]) / (image_size * 2)),
    box_image_sizes=image_sizes,
    box_classes=np.resize([1, 2], num_images),
    most_objects=1,
    num_classes=4,
    names={},
  )


@pytest.fixture(autouse=True)
def costs(monkeypatch):
  """One multiply-add a pixel, whatever the network; two with level 2."""

  def multiply_adds(config):
    return 2.0 if '"min_level": 2' in config else 1.0

  monkeypatch.setattr(step_cost, 'multiply_adds', multiply_adds)
  monkeypatch.setattr(step_cost, 'memory', lambda _: 0.0)


_SMALL = [networks.of_preset('small_cpu')]


def _choose(facts, speed, minutes=60.0, candidates=_SMALL):
  return plan.choose(facts, candidates, minutes, speed)


def test_time_without_start_export_and_evaluations():
  # An evaluation takes 12 + 50 / 25 s, and 5 % of 900 s hold three.
  assert plan.time_for(15, 10.0, 50) == (8230, 3)
  assert plan.time_for(1 / 3, 10.0, 50) == (0, 1)


def test_images_are_as_large_as_objects_need():
  # 41 pixels of 640 become 20.5 in 320; for steps in plenty there is no time.
  facts = _facts([41])
  assert _choose(facts, 300_000).size == (256, 320)
  # Now there is, for 32 pixels.
  assert _choose(facts, 2_000_000).size == (384, 512)
  # Objects of twice the size need half of it.
  assert _choose(_facts([82]), 100_000).size == (128, 160)


def test_time_bounds_the_image():
  facts = _facts([20])
  slow = _choose(facts, 150_000, minutes=30)
  assert slow.batch == 8
  assert slow.size < (480, 640)
  # With a trained backbone half of the steps are enough, for level 2 here.
  warm = networks.of_preset('small_cpu', checkpoint={'path': 'resnet10'})
  chosen = _choose(facts, 150_000, 30, [warm])
  assert (slow.block.min_level, slow.steps) == (3, 640)
  assert (chosen.block.min_level, chosen.steps) == (2, 320)


def test_class_that_the_size_leaves_without_anchors():
  # Every tenth object is small, and of a class of its own.
  is_small = np.arange(200) % 10 == 9
  facts = _facts(np.where(is_small, 6, 80))
  facts = facts._replace(
    box_classes=np.where(is_small, 3, 1), names={3: 'Platelets'}
  )
  chosen = _choose(facts, 100_000)
  height, width = chosen.size
  assert list(plan.shortcomings(facts, chosen))[-1] == (
    f'Anchors meet 0% of Platelets in images of {height} x {width}: give more '
    '--minutes, or enlarge retinanet_parser.output_size and fit the anchors by '
    'tools/check_dataset.py.'
  )
  facts = _facts([80])
  assert not list(plan.shortcomings(facts, _choose(facts, 100_000)))


def test_images_are_not_enlarged_and_keep_their_shape():
  fast = 10**9
  assert _choose(_facts([20], (300, 200)), fast).size == (320, 224)
  facts = _facts([20])
  sizes = np.where(np.arange(200)[:, np.newaxis] % 2, [480, 640], [640, 480])
  facts = facts._replace(image_sizes=np.int32(sizes))
  assert _choose(facts, fast).size == (640, 640)


def test_small_objects_get_a_finer_level():
  assert _choose(_facts([12], (256, 256)), 10**7).block.min_level == 2
  assert _choose(_facts([40], (256, 256)), 10**7).block.min_level == 3
  spinenet = [networks.of_preset('spinenet49S_retinanet')]
  chosen = _choose(_facts([12], (256, 256)), 10**7, 60, spinenet)
  assert chosen.block.min_level == 3


def test_a_larger_network_has_to_see_enough_images():
  candidates = networks.candidates()[:2]
  # 2 * 6400 / 5.8 images for each million parameters: 25,600 of 11.6.
  facts = _facts([21], (256, 320))
  pixels = 256 * 320

  def name(images):
    seconds = 3600 - 35 - 10 * (12 + 50 / (2.5 * images / 3300))
    chosen = _choose(facts, images / seconds * pixels, 60, candidates)
    return chosen.network.preset.name, chosen.images

  assert name(25_000) == ('small_cpu', pytest.approx(25_000, rel=0.01))
  assert name(26_200) == ('bccd_yardstick', pytest.approx(26_200, rel=0.01))


@pytest.mark.parametrize(
  'images, memory, batch',
  [
    *((1e6, 1e12, 64), (20_000, 1e12, 32), (100, 1e12, 8)),
    *((1e6, 36e9, 16), (1e6, 5e9, 2)),
  ],
)
def test_batch_by_steps_and_memory(monkeypatch, images, memory, batch):
  monkeypatch.setattr(step_cost, 'memory', lambda _: 1e9 / (96 * 128))
  monkeypatch.setattr(plan.step_memory, 'of_machine', lambda: memory)
  monkeypatch.setattr(plan, 'time_for', lambda *_: (images, 3))
  monkeypatch.setattr(plan, '_FEWEST_STEPS', 0)
  network = networks.of_preset('retinanet_resnet50')
  assert _choose(_facts([400]), 1.0, 1, [network]).batch == batch
