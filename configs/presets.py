"""YAML files that come with the project."""

import glob
import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from configs import factory, params_dict, resolver, text_overrides
from utils import errors

_ROOT = os.path.dirname(os.path.abspath(__file__))
_HEADER = re.compile(
  r'\A# [^\n]+?: (?P<purpose>[^\n]+)\.$'
  r'.*?^# Size: (?P<parameters>[0-9.]+) M parameters, '
  r'(?P<multiply_adds>[0-9.]+) B multiply-adds an image\.$'
  r'.*?^# Cost: (?:small|medium|large|huge), '
  r".*?^type: '?(?P<model>\w+)'?$",
  re.MULTILINE | re.DOTALL,
)


class Preset(NamedTuple):
  """What the header of a preset says.

  Attributes:
    name: file name without its ending.
    path: absolute path.
    relative_path: path from the top of the project.
    purpose: what it is for, a few words.
    parameters: trained ones, in millions.
    multiply_adds: of one image, in billions.
    model: whose parameters it gives.
  """

  name: str
  path: str
  relative_path: str
  purpose: str
  parameters: float
  multiply_adds: float
  model: str


def find_presets(names: Sequence[str] = ()) -> List[Preset]:
  """Returns the presets called `names`, all of them by default.

  Raises:
    ConfigError: there is no preset of that name.
  """
  paths = (
    path
    for folder in ('yaml', 'spinenet')
    for path in sorted(glob.glob(os.path.join(_ROOT, folder, '*.yaml')))
  )
  found: Dict[str, Preset] = {}
  for preset in map(_read, paths):
    if preset.name in found:
      raise errors.ConfigError(f"Two presets are called '{preset.name}'.")
    found[preset.name] = preset
  for name in names:
    if name not in found:
      raise errors.ConfigError(
        'There is no preset {!r}; there are {}.{}'.format(
          name, ', '.join(found), errors.did_you_mean(name, found)
        )
      )
  return [found[name] for name in names or found]


def nearest(params: Any) -> Optional[Tuple[Preset, Any]]:
  """The preset that shares most values with a config, and its parameters.

  None if the model has no preset.
  """
  mine = dict(params.leaves())
  defaults = dict(factory.config_generator(params.type).leaves())

  def shared(preset: Preset) -> int:
    """Values, beyond those that a config without a file would share."""
    stated = params_dict.ParamsDict(text_overrides.read_file(preset.path))
    return sum(
      (mine.get(key) == value) - (mine.get(key) == defaults.get(key))
      for key, value in stated.leaves()
    )

  known = [preset for preset in find_presets() if preset.model == params.type]
  if not known:
    return None
  # To resolve each would take seconds.
  found = max(known, key=shared)
  return found, resolver.resolve(
    config_file=found.path, flags={'use_tpu': params.use_tpu}
  ).params


def _read(path: str) -> Preset:
  with open(path) as file:
    header = _HEADER.search(file.read())
  if not header:
    raise errors.ConfigError(
      f"{path}: a preset starts with '# <title>: <what it is for>.' and has "
      "the lines '# Size: <number> M parameters, <number> B multiply-adds an "
      "image.' and '# Cost: <small, medium, large or huge>, ...', and then "
      "says 'type: <model>'."
    )
  return Preset(
    name=os.path.splitext(os.path.basename(path))[0],
    path=path,
    relative_path=os.path.relpath(path, os.path.dirname(_ROOT)),
    purpose=header.group('purpose'),
    parameters=float(header.group('parameters')),
    multiply_adds=float(header.group('multiply_adds')),
    model=header.group('model'),
  )
