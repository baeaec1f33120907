"""The YAML files that come with the project."""

import glob
import math
import os
import re
from typing import List, NamedTuple, Sequence

from utils import errors

DIRECTORIES = ('yaml', 'spinenet')

_ROOT = os.path.dirname(os.path.abspath(__file__))
_SIZE = re.compile(
  r'^# Size: (?P<parameters>[0-9.]+) M parameters, '
  r'(?P<multiply_adds>[0-9.]+) B multiply-adds an image\.$',
  re.MULTILINE,
)
# On two CPU cores.
_COST = re.compile(
  r'^# Cost: (?P<cost_class>\w+), (?:(?P<step_seconds>[0-9.]+) s and |over )'
  r'(?P<gigabytes>[0-9.]+) GB a training step of one image\.$',
  re.MULTILINE,
)
# The largest step (seconds) and memory (GB) of each class.
COST_CLASSES = {
  'small': (1.5, 2.0),
  'medium': (6.0, 6.0),
  'large': (30.0, 16.0),
  'huge': (math.inf, math.inf),
}


class Preset(NamedTuple):
  """What the header of a preset says.

  Attributes:
    name: file name without its ending.
    path: absolute path.
    relative_path: path from the top of the project.
    title: first line of the header.
    parameters: trained ones, in millions.
    multiply_adds: of one image, in billions.
    cost_class: key of `COST_CLASSES`.
    step_seconds: of a training step of one image on two CPU cores; infinite
      if their memory does not suffice.
    gigabytes: peak memory of that, or what does not suffice.
  """

  name: str
  path: str
  relative_path: str
  title: str
  parameters: float
  multiply_adds: float
  cost_class: str
  step_seconds: float
  gigabytes: float


def find_presets(names: Sequence[str] = ()) -> List[Preset]:
  """Returns the presets called `names`, all of them by default.

  Raises:
    ConfigError: there is no preset of that name.
  """
  found = {}
  for directory in DIRECTORIES:
    folder = os.path.join(_ROOT, directory)
    for path in sorted(glob.glob(os.path.join(folder, '*.yaml'))):
      preset = _read(path)
      if preset.name in found:
        raise errors.ConfigError(
          '{}: there is a preset of that name already, {}.'.format(
            path, found[preset.name].path
          )
        )
      found[preset.name] = preset
  for name in names:
    if name not in found:
      raise errors.ConfigError(
        'There is no preset {!r}; there are {}.{}'.format(
          name, ', '.join(found), errors.did_you_mean(name, found)
        )
      )
  return [found[name] for name in names or found]


def cost_class(step_seconds: float, gigabytes: float) -> str:
  """Returns the first class within whose limits both figures are."""
  return next(
    name
    for name, (most_seconds, most_gigabytes) in COST_CLASSES.items()
    if step_seconds <= most_seconds and gigabytes <= most_gigabytes
  )


def _read(path: str) -> Preset:
  with open(path) as file:
    text = file.read()
  size = _SIZE.search(text)
  cost = _COST.search(text)
  if not text.startswith('# ') or not size or not cost:
    raise errors.ConfigError(
      "{}: a preset starts with '# <title>' and has the lines '# Size: "
      "<number> M parameters, <number> B multiply-adds an image.' and '# Cost: "
      "<class>, <number> s and <number> GB a training step of one image.' (or "
      "'over <number> GB'); the classes are {}.".format(
        path, ', '.join(COST_CLASSES)
      )
    )
  return Preset(
    name=os.path.splitext(os.path.basename(path))[0],
    path=path,
    relative_path=os.path.relpath(path, os.path.dirname(_ROOT)),
    title=text.splitlines()[0][2:].rstrip('.'),
    parameters=float(size.group('parameters')),
    multiply_adds=float(size.group('multiply_adds')),
    cost_class=cost.group('cost_class'),
    step_seconds=float(cost.group('step_seconds') or math.inf),
    gigabytes=float(cost.group('gigabytes')),
  )
