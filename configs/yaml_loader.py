"""YAML of parameters: the one reader and the one writer."""

import re
from typing import Any, Callable, Dict, Iterable, Iterator, Tuple, Type

import yaml

from utils import errors

# Of a document with its aliases written out, and of what lies in one another.
# Parameters need some hundreds, and less than ten.
_MOST_NODES, _MOST_DEPTH = 10_000, 50
# No number of a config is near; one of many digits takes seconds to convert.
_MOST_DIGITS, _MOST_NUMBER = 100, 3.4e38


class ParamsLoader(yaml.SafeLoader):
  """Safe loader of a bounded document of texts, numbers, lists and mappings."""

  def __init__(self, stream: str):
    super().__init__(stream)
    self._depth = self._num_nodes = 0
    self._sizes: Dict[str, int] = {}

  def compose_node(self, parent: Any, index: Any) -> yaml.Node:
    """Counts what an alias stands for, before anything is built of it."""
    event = self.peek_event()
    before = self._num_nodes
    if isinstance(event, yaml.AliasEvent) and event.anchor in self.anchors:
      if event.anchor not in self._sizes:
        raise _problem(f'*{event.anchor} contains itself', event)
      self._num_nodes += self._sizes[event.anchor]
    self._num_nodes += 1
    if self._num_nodes > _MOST_NODES or self._depth >= _MOST_DEPTH:
      raise _problem(
        f'more than {_MOST_NODES} values, aliases written out, or '
        f'{_MOST_DEPTH} in one another',
        event,
      )
    self._depth += 1
    node = super().compose_node(parent, index)
    self._depth -= 1
    if not isinstance(event, yaml.AliasEvent) and event.anchor:
      self._sizes[event.anchor] = self._num_nodes - before
    return node

  def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
    kind = node.tag.rpartition(':')[2]
    is_number = kind in ('int', 'float')
    if is_number and len(node.value) > _MOST_DIGITS:
      raise _wrong_value(node, 'too large')
    try:
      value = super().construct_object(node, deep)
      if isinstance(value, str):
        value.encode()
    except (ValueError, LookupError):
      raise _wrong_value(node, 'no ' + kind) from None
    # Of NaN the comparison is false.
    if is_number and not abs(value) <= _MOST_NUMBER:
      raise _wrong_value(node, 'too large, or no number')
    return value

  def construct_mapping(self, node: yaml.Node, deep: bool = False) -> Any:
    if isinstance(node, yaml.MappingNode):
      seen, kept = {}, []
      for key, value in node.value:
        is_merge = key.tag.endswith(':merge')
        if not (is_merge or key.tag.endswith(':str')):
          raise _problem('a key must be text; quote it', key)
        if is_merge or key.value not in seen:
          kept.append((key, value))
        elif not _repeats(value, seen[key.value]):
          raise _problem(f"key '{key.value}' occurs twice", key)
        seen.setdefault(key.value, value)
      node.value = kept
    return super().construct_mapping(node, deep)


def _repeats(again: yaml.Node, first: yaml.Node) -> bool:
  """Whether a block says nothing but what one before it says.

  So it is in published files.
  """
  if not all(isinstance(node, yaml.MappingNode) for node in (again, first)):
    return False
  said, repeated = (
    [(key.tag, key.value, value.tag, value.value) for key, value in node.value]
    for node in (first, again)
  )
  return all(item in said for item in repeated)


def _problem(text: str, place: Any) -> yaml.MarkedYAMLError:
  return yaml.MarkedYAMLError(problem=text, problem_mark=place.start_mark)


def _wrong_value(node: yaml.Node, reason: str) -> yaml.MarkedYAMLError:
  return _problem(f'{node.value!r:.40} is {reason}', node)


# YAML 1.1 wants a point and a signed exponent, so that `1e-4` and `1e5` would
# be text; all that it knows stays as it is (`1.e3` is text).
_FLOAT = re.compile(
  r'^[-+]?(?:'
  r'(?:[0-9][0-9_]*(?:\.[0-9][0-9_]*)?|\.[0-9][0-9_]*)[eE][-+]?[0-9]+'
  r'|\.[0-9][0-9_]*)$'
)


def _refuse(loader: ParamsLoader, node: yaml.Node) -> None:
  raise _problem(f"tag '{node.tag}' means nothing here; leave it out", node)


for _name, _construct in (
  # Dates are no values of parameters, but names of directories may look so.
  ('timestamp', ParamsLoader.construct_yaml_str),
  ('value', ParamsLoader.construct_yaml_str),
  # In files that were saved with Python tags.
  ('python/tuple', ParamsLoader.construct_yaml_seq),
  *((name, _refuse) for name in ('binary', 'set', 'omap', 'pairs')),
):
  ParamsLoader.add_constructor('tag:yaml.org,2002:' + _name, _construct)
ParamsLoader.add_constructor(None, _refuse)


def load(text: str, loader: Type[ParamsLoader] = ParamsLoader) -> Any:
  """Parses one YAML (or JSON) document.

  Args:
    text: the document.
    loader: decides what its scalars are.

  Raises:
    errors.ConfigError: the text is not YAML, or not of parameters; the message
      has line and column.
  """
  try:
    return yaml.load(text, Loader=loader)
  except (yaml.YAMLError, ValueError, OverflowError) as error:
    mark = getattr(error, 'problem_mark', None)
    raise errors.ConfigError(
      'Not valid YAML: {}{}.'.format(
        ' '.join(str(getattr(error, 'problem', None) or error).split()),
        f', line {mark.line + 1}, column {mark.column + 1}' if mark else '',
      )
    ) from error


_LINE_BREAK = re.compile('[\n\x85\u2028\u2029]')


class _ParamsDumper(yaml.SafeDumper):
  """Block mappings, inline lists; tuples become lists."""

  def ignore_aliases(self, data: Any) -> bool:
    return True

  def represent_list(self, data: Any) -> yaml.Node:
    return self.represent_sequence('tag:yaml.org,2002:seq', data, True)

  def represent_str(self, data: str) -> yaml.Node:
    # A comment behind a value needs it on one line.
    style = '"' if _LINE_BREAK.search(data) else None
    return self.represent_scalar('tag:yaml.org,2002:str', data, style)


for _kind in (list, tuple):
  _ParamsDumper.add_representer(_kind, _ParamsDumper.represent_list)
_ParamsDumper.add_representer(str, _ParamsDumper.represent_str)
# The dumper quotes what would be read back as another type, such as '1e-4'.
for _class in (ParamsLoader, _ParamsDumper):
  _class.add_implicit_resolver(
    'tag:yaml.org,2002:float', _FLOAT, list('-+.0123456789')
  )


def dump(value: Any) -> str:
  """Returns YAML: block mappings with sorted keys, lists on one line."""
  return yaml.dump(
    value, Dumper=_ParamsDumper, default_flow_style=False, width=10**6
  )


def dump_with_comments(
  tree: Dict[str, Any],
  comments: Dict[str, str],
  most_column: int,
  order: Callable[[Iterable[Any]], Iterable[Any]] = sorted,
) -> str:
  """Returns YAML with a comment behind each value.

  Args:
    tree: nested dict.
    comments: {dotted key: comment} of every leaf.
    most_column: where comments begin at most, unless a value is longer.
    order: of the items of a block.
  """
  lines = list(_lines(tree, comments, order))
  widths = [len(line) for line, comment in lines if comment]
  column = min(max(widths), most_column)
  return ''.join(
    '{}  # {}\n'.format(line.ljust(column), comment) if comment else line + '\n'
    for line, comment in lines
  )


def _lines(
  tree: Dict[str, Any], comments: Dict[str, str], order: Any, path: str = ''
) -> Iterator[Tuple[str, str]]:
  """Yields (line of YAML, comment or '')."""
  indent = '  ' * path.count('.')
  for key, value in order(tree.items()):
    if isinstance(value, dict):
      yield indent + key + ':', ''
      yield from _lines(value, comments, order, path + key + '.')
    else:
      yield indent + dump({key: value}).rstrip('\n'), comments[path + key]
