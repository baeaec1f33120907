"""The parser that a config names."""

from typing import Any

from dataloader import base_parser, parser_registry, parsers
from utils import discovery

discovery.import_submodules(parsers.__path__, parsers.__name__)


def parser_generator(params: Any, mode: str) -> base_parser.Parser:
  """Returns the parser named by `params.architecture.parser`.

  Args:
    params: the whole config.
    mode: one of `utils.mode_keys`.

  Raises:
    ConfigError: the parser, the mode or a parameter is not known.
  """
  return parser_registry.PARSERS.get(params.architecture.parser)(params, mode)
