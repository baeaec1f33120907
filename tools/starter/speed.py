"""Speed of a machine in training, in multiply-adds a second.

Those of the forward pass count.
"""

import os
import tempfile
from typing import Sequence

from configs import resolver
from evaluation.dataset import anchor_fit
from executor import hardware, sole_training, training
from tools.starter import choices, networks, plan, step_cost
from tools.starter.facts import Facts
from utils import files

# The network that a machine's speed is told by, and its image.
_REFERENCE, _PIXELS = 'small_cpu', 320 * 320
_USUAL = anchor_fit.Block(3, 6, 3, [1.0, 2.0, 0.5], 3.0, 0)
# Its images a second on a core, before anything is measured.
_GUESS = 3.0
# How often what was measured may change what is measured.
_MOST_MEASUREMENTS = 3
_STEPS = 12


def told(images_per_second: float, num_classes: int) -> float:
  """Of a machine that trains small_cpu.yaml so fast."""
  config = networks.of_preset(_REFERENCE).config(_USUAL, num_classes)
  return images_per_second * step_cost.multiply_adds(config) * _PIXELS


def measured(
  facts: Facts,
  candidates: Sequence[networks.Network],
  minutes: float,
) -> float:
  """By steps of what the minutes are used for, here.

  Raises:
    UserError: it cannot train.
  """
  speed = told(_GUESS * os.cpu_count(), facts.num_classes)
  last = None
  for _ in range(_MOST_MEASUREMENTS):
    found = plan.choose(facts, candidates, minutes, speed)
    what = found.network.preset, found.size, found.block
    if what == last:
      break
    last = what
    rate = _images_per_second(choices.choose(facts, found))
    speed *= rate / found.images_per_second
  return speed


def _images_per_second(chosen: choices.Choices) -> float:
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'config.yaml')
    files.write_text(path, choices.text(chosen))
    params = resolver.resolve(
      config_file=path,
      params_override={'train': {'total_steps': _STEPS}},
      flags={'model_dir': folder},
    ).params
    trainer = training.Trainer(params)
    with sole_training.alone_in(folder):
      trainer.train(hardware.detect(params), _STEPS)
    return trainer.time_spent.images_per_second
