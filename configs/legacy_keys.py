"""Translates parameter names of April 2020 to the present ones."""

from typing import Any, Dict


def translate(
  changes: Dict[str, Any], current: Dict[str, Any]
) -> Dict[str, Any]:
  del current
  return changes
