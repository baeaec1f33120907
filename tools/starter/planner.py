"""Configs for a data set on a machine, by the time that they take."""

import os
import tempfile
from typing import NamedTuple

from evaluation.dataset import anchor_fit
from executor import step_memory
from tools.starter import choices as choices_lib
from tools.starter import config_text, networks, step_cost
from tools.starter import facts as facts_lib
from tools.starter import record_sets as record_sets_lib
from tools.starter import shape as shape_lib
from utils import errors, files

# The network that a machine's speed is told by, and its images.
_REFERENCE, _SIZE = 'small_cpu', (320, 320)
# Its images a second on a core, before anything is measured.
_GUESS = 3.0
# How often what was measured may change what is measured.
_MOST_MEASUREMENTS = 3
_FEWEST_STEPS = 50


class Plan(NamedTuple):
  """A config, and what it is made for."""

  shape: shape_lib.Shape
  choices: choices_lib.Choices


class Planner:
  """Makes plans.

  Args:
    facts: of the data.
    sets: its files.
    checkpoint: of a trained backbone; '' for none.
  """

  def __init__(
    self,
    facts: facts_lib.Facts,
    sets: record_sets_lib.RecordSets,
    checkpoint: str,
  ):
    self._facts, self._sets, self._checkpoint = facts, sets, checkpoint
    self._networks = (
      [networks.warm(checkpoint)] if checkpoint else networks.from_scratch()
    )

  def plan(self, minutes: float, speed: step_cost.Speed) -> Plan:
    """Returns what the minutes are used for best.

    Raises:
      ConfigError: they are too few.
    """
    facts, is_warm = self._facts, bool(self._checkpoint)
    shape = shape_lib.choose(
      facts, self._networks, 60 * minutes, speed, is_warm
    )
    batch = choices_lib.batch_size(facts, shape, step_memory.of_machine())
    if shape.steps(batch) < _FEWEST_STEPS:
      raise errors.ConfigError(
        f'--minutes={minutes:g}: they hold {shape.steps(batch)} steps, and a '
        f'training needs {_FEWEST_STEPS}. Give more minutes.'
      )
    return Plan(
      shape,
      choices_lib.choose(facts, self._sets, shape, batch, self._checkpoint),
    )

  def speed(self, images_per_second: float) -> step_cost.Speed:
    """The speed of a machine that trains small_cpu.yaml so fast."""
    usual = anchor_fit.Block(3, 6, 3, [1.0, 2.0, 0.5], 3.0, 0)
    network = networks.of_preset(_REFERENCE)
    values = shape_lib.settings(network, usual, self._facts.num_classes)
    one = step_cost.Speed(1.0).of(values, _SIZE)
    return step_cost.Speed(images_per_second / one)

  def measured_speed(self, minutes: float) -> step_cost.Speed:
    """Measures steps of what the minutes are used for, here."""
    speed = self.speed(_GUESS * os.cpu_count())
    measured = None
    for _ in range(_MOST_MEASUREMENTS):
      plan = self.plan(minutes, speed)
      cost = plan.shape.network.preset, plan.shape.size, plan.shape.block
      if cost == measured:
        break
      measured = cost
      with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'config.yaml')
        files.write_text(path, config_text.write([], plan.choices))
        rate = step_cost.measure(path)
      factor = rate / plan.shape.images_per_second
      speed = step_cost.Speed(speed.multiply_adds * factor)
    return speed
