"""`main.py --list` names parts, presets and programs, ready to be copied."""

import pytest

from configs import presets
from tests import programs


@pytest.mark.parametrize('flag', ['--list', '--mode=list_models'])
def test_lists_parts_presets_and_programs(flag):
  lines = programs.run('main.py', flag).stdout.splitlines()
  assert max(map(len, lines)) <= 100
  of_file, row = {}, []
  for line in filter(str.strip, lines):
    if line.startswith(' '):  # What the line before has no room for.
      row += line.split()
    else:
      row = of_file[line.split()[0]] = line.split()
  for preset in presets.find_presets():
    path, _, parameters, multiply_adds, *purpose = of_file[preset.relative_path]
    assert parameters == f'{preset.parameters:.1f}M'
    assert multiply_adds == f'{preset.multiply_adds:.1f}B'
    assert ' '.join(purpose) == preset.purpose
  assert ' '.join(of_file['configs/yaml/bccd_resnet10.yaml'][1:]) == (
    '256x320 5.3M 1.9B BCCD, on a CPU'
  )
  assert ' '.join(of_file['file'][1:]) == 'what it does'
  assert 'file image params MACs for' in {' '.join(x.split()) for x in lines}
  assert ' '.join(of_file['tools/serve.py'][1:]) == (
    'Serves an exported model over HTTP.'
  )
  assert 'main.py' in of_file and 'tools/demo_data.py' not in of_file
  output = '\n'.join(lines)
  for name in ('retinanet', 'nasfpn', '49XS', 'bottleneck', 'adam', 'v0'):
    assert f' {name}' in output
  assert '49, 49S, 96, 143, 143l, 190' in output
