"""Metrics that a report page shows, to the last digit."""

import re


def read(path):
  """Metrics by name, as `metrics.json` has them."""
  pattern = r'data-metric="(\w+)" data-value="([^"]+)"'
  pairs = re.findall(pattern, path.read_text())
  assert pairs and len(dict(pairs)) == len(pairs)
  return {name: float(value) for name, value in pairs}
