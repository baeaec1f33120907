"""Presets without those that differ in training alone."""

from typing import List

from configs import presets


def find() -> List[presets.Preset]:
  """Returns the first preset of each size of network, as their headers say."""
  found = {}
  for preset in presets.find_presets():
    found.setdefault((preset.parameters, preset.multiply_adds), preset)
  return list(found.values())
