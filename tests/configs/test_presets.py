"""The presets say what they are, and equal the files of April 2020."""

import pytest

from configs import presets, resolver
from tests.configs import april_2020
from utils import errors


def _resolve(config_file):
  resolved = resolver.resolve(config_file=config_file, flags={'use_tpu': True})
  return resolved.params.as_dict()


@pytest.mark.parametrize('preset', presets.find_presets(), ids=lambda p: p.name)
def test_preset_loads_without_a_warning(preset, caplog):
  resolver.resolve(config_file=preset.path, flags={'use_tpu': True})
  assert not caplog.records
  with open(preset.path) as file:
    header = file.read().split('type:')[0]
  assert 'https://arxiv.org/abs/' in header
  assert (
    '--config_file=' + preset.relative_path in header or 'make demo' in header
  )
  assert preset.parameters > 0 and preset.multiply_adds > 0


@pytest.mark.parametrize(
  'name,text',
  [
    ('spinenet49_retinanet_2020', april_2020.spinenet(1, 0.5)),
    ('spinenet96_retinanet_2020', april_2020.spinenet(2, 0.5, 4.0, 1024)),
    ('spinenet143_retinanet_2020', april_2020.spinenet(3, 1.0, 4.0, 1280)),
    ('retinanet_autoaugment', april_2020.AUTOAUGMENT),
    ('retinanet_nasfpn', april_2020.NASFPN),
  ],
  ids=lambda value: value.strip().split()[0],
)
def test_file_of_april_2020_is_the_preset(tmp_path, name, text):
  path = tmp_path / 'old.yaml'
  path.write_text(text)
  (preset,) = presets.find_presets([name])
  assert _resolve(str(path)) == _resolve(preset.path)


def test_unknown_preset_names_the_nearest():
  with pytest.raises(errors.ConfigError, match="mean 'spinenet49_retinanet'"):
    presets.find_presets(['spinenet49_retinane'])


@pytest.mark.parametrize(
  'header', ['type: retinanet\n', '# A title.\n# Size: large\n']
)
def test_preset_without_a_header(tmp_path, header, monkeypatch):
  (tmp_path / 'yaml').mkdir()
  (tmp_path / 'spinenet').mkdir()
  (tmp_path / 'yaml' / 'mine.yaml').write_text(header)
  monkeypatch.setattr(presets, '_ROOT', str(tmp_path))
  with pytest.raises(errors.ConfigError, match='mine.yaml.*# Size:'):
    presets.find_presets()
