"""`main.py --list` names every part and preset, ready to be copied."""

import pytest

from configs import presets
from tests import programs


@pytest.mark.parametrize('flag', ['--list', '--mode=list_models'])
def test_lists_parts_and_presets(flag):
  output = programs.run('main.py', flag, COLUMNS='80').stdout
  for preset in presets.find_presets():
    assert f' {preset.relative_path} ' in output
    assert f' {preset.multiply_adds:.1f} ' in output
  assert 'cost: huge; RetinaNet with SpineNet-190' in output
  for name in ('retinanet', 'nasfpn', '49XS', 'bottleneck', 'adam', 'v0'):
    assert f' {name}' in output
  assert '49, 49S, 96, 143, 143l, 190' in output
  assert max(len(line) for line in output.splitlines()) <= 80
