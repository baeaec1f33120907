"""All parameters with their meanings, as the documentation shows them.

python -m configs.reference docs/config.md
"""

import re
import sys

from configs import factory, params_dict, value_check, yaml_loader
from configs.keys import Key
from utils import files

_BLOCK = re.compile(
  r'(<!-- parameters of (\w+)(?: that (\w+) lacks)? -->\n```yaml\n).*?(```\n)',
  re.DOTALL,
)


def _comment(key: Key) -> str:
  kind = value_check.kind(key)
  tells_kind = kind == value_check.kind_of(key.default)
  return '{}{}{}'.format(
    '' if tells_kind else kind + ': ', key.meaning, ', or null' * key.null
  )


def with_parameters(document: str) -> str:
  """Returns a document with the parameters made anew where it has them."""

  def block(match):
    begin, model, other, end = match.groups()
    defaults = factory.config_generator(model).as_dict()
    if other:
      known = factory.config_generator(other).as_dict()
      defaults = params_dict.difference(defaults, known)
    comments = {key.path: _comment(key) for key in factory.declared_keys(model)}
    text = yaml_loader.dump_with_comments(defaults, comments, 0)
    return begin + text + end

  return _BLOCK.sub(block, document)


if __name__ == '__main__':
  for path in sys.argv[1:]:
    files.write_text(path, with_parameters(files.read_text(path)))
