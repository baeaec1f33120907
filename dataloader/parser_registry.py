"""Parsers by their value of `architecture.parser`."""

from utils import registry

PARSERS = registry.Registry('architecture.parser')

# Decorates `from_params(params, mode) -> base_parser.Parser`.
register_parser = PARSERS.register
