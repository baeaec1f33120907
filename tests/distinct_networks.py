"""Presets without those that differ in training or image size alone."""

from typing import List

from configs import presets


def find() -> List[presets.Preset]:
  """Returns of each network, as headers say, the preset of largest images."""
  found = {}
  for preset in presets.find_presets():
    key = preset.model, preset.parameters
    known = found.setdefault(key, preset)
    if preset.multiply_adds > known.multiply_adds:
      found[key] = preset
  return list(found.values())
