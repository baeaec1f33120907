"""All parameters with their meanings, as the documentation shows them.

python -m configs.reference docs/config.md
"""

import re
import sys
from typing import Dict

from configs import factory, value_check, yaml_loader
from utils import files

_BLOCK = re.compile(
  r'(<!-- parameters of (\w+) -->\n```yaml\n).*?(```\n)', re.DOTALL
)


def _meanings(model: str) -> Dict[str, str]:
  meanings = {}
  for key in factory.declared_keys(model):
    kind = value_check.kind(key)
    tells_kind = kind == value_check.kind_of(key.default)
    meanings[key.path] = (
      key.meaning if tells_kind else kind + ': ' + key.meaning
    )
  return meanings


def with_parameters(document: str) -> str:
  """Returns a document with the parameters made anew where it has them."""

  def block(match):
    begin, model, end = match.groups()
    defaults = factory.config_generator(model).as_dict()
    text = yaml_loader.dump_with_comments(defaults, _meanings(model), 0)
    return begin + text + end

  return _BLOCK.sub(block, document)


if __name__ == '__main__':
  for path in sys.argv[1:]:
    files.write_text(path, with_parameters(files.read_text(path)))
