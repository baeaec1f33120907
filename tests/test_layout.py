"""The layers of the project: imports run downward only."""

import ast
import os

import pytest

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# What each folder may import from the project, itself included.
_BASE = {'configs', 'ops', 'utils'}
_ALLOWED = {
  'utils': {'utils'},
  'configs': {'configs', 'utils'},
  'ops': {'ops', 'utils'},
  'dataloader': _BASE | {'dataloader'},
  'modeling': _BASE | {'modeling'},
  'evaluation': _BASE | {'dataloader', 'evaluation', 'modeling'},
  'executor': _BASE | {'dataloader', 'evaluation', 'executor', 'modeling'},
  'serving': _BASE | {'dataloader', 'evaluation', 'modeling', 'serving'},
}
# Within serving/: what each part may import of the others.
_SERVING = {
  'graph': {'graph'},
  'predictors': {'graph', 'predictors'},
  'export': {'export', 'graph', 'predictors'},
  'inference': {'graph', 'inference', 'predictors'},
  'http': {'graph', 'http', 'predictors'},
}
_SCRIPTS = {'tools', 'tests'}
_BANNED = {'six', '__future__'}


def _python_files():
  for folder, subfolders, names in os.walk(_ROOT):
    subfolders[:] = [
      name
      for name in subfolders
      if not name.startswith('.') and name not in ('build', 'dist')
    ]
    for name in names:
      if name.endswith('.py'):
        yield os.path.relpath(os.path.join(folder, name), _ROOT)


def _imports(tree):
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      for alias in node.names:
        yield node.lineno, alias.name.split('.')[0]
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
      yield node.lineno, node.module.split('.')[0]


def _rooms_of_serving(tree):
  """Parts of serving/ that are imported."""
  for node in ast.walk(tree):
    names = []
    if isinstance(node, ast.Import):
      names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
      names = [f'{node.module}.{alias.name}' for alias in node.names]
    for name in names:
      layer, _, rest = name.partition('.')
      room = rest.partition('.')[0]
      if layer == 'serving' and room in _SERVING:
        yield node.lineno, room


def _edits_search_path(node):
  return (
    isinstance(node, ast.Attribute)
    and node.attr == 'path'
    and isinstance(node.value, ast.Name)
    and node.value.id == 'sys'
  )


def layout_problems(path, source):
  """Lists what is wrong with the imports of one file, as 'path:line: what'."""
  layer = path.split(os.sep)[0]
  tree = ast.parse(source, path)
  problems = []
  for line, name in _imports(tree):
    if name in _BANNED:
      problems.append(f'{path}:{line}: imports {name}')
    if layer in _ALLOWED:
      upward = (
        set(_ALLOWED) | _SCRIPTS | {'main', 'export_saved_model', 'inference'}
      )
      if name in upward - _ALLOWED[layer]:
        problems.append(f'{path}:{line}: imports {name}')
  if layer == 'serving':
    # What stands beside the rooms knows none.
    allowed = _SERVING.get(path.split(os.sep)[1], set())
    problems.extend(
      f'{path}:{line}: imports serving.{room}'
      for line, room in _rooms_of_serving(tree)
      if room not in allowed
    )
  problems.extend(
    f'{path}:{node.lineno}: touches sys.path'
    for node in ast.walk(tree)
    if _edits_search_path(node)
  )
  return problems


def test_imports_run_downward():
  files = list(_python_files())
  assert os.path.join('utils', 'errors.py') in files
  problems = []
  for path in files:
    with open(os.path.join(_ROOT, path), encoding='utf-8') as source:
      problems.extend(layout_problems(path, source.read()))
  assert not problems, '\n'.join(problems)


@pytest.mark.parametrize(
  'path, source',
  [
    ('utils/a.py', 'from ops import nms'),
    ('configs/a.py', 'import ops.nms'),
    ('ops/a.py', 'def f():\n  from configs import factory'),
    ('modeling/deep/a.py', 'from dataloader import anchor'),
    ('dataloader/a.py', 'from modeling.architecture import resnet'),
    ('evaluation/a.py', 'import executor.predictor as p'),
    ('executor/a.py', 'from tools import demo'),
    ('executor/a.py', 'from serving import contract'),
    ('serving/a.py', 'from executor import plan'),
    ('serving/contract.py', 'from serving.graph import frozen'),
    ('serving/graph/a.py', 'from serving import predictors'),
    ('serving/predictors/a.py', 'import serving.export.export'),
    ('serving/http/a.py', 'from serving.export.formats import tflite'),
    ('serving/export/a.py', 'from serving.inference import sources'),
    ('executor/a.py', 'import main'),
    ('tools/a.py', 'import six'),
    ('main.py', 'from __future__ import print_function'),
    ('tools/a.py', "import sys\nsys.path.insert(0, '..')"),
    ('tools/a.py', "import sys\nsys.path += ['..']"),
  ],
)
def test_a_violation_is_found(path, source):
  assert len(layout_problems(path.replace('/', os.sep), source)) == 1


def test_downward_and_relative_imports_are_fine():
  source = (
    'import os\nfrom . import x\nfrom ops import nms\nimport utils.errors'
  )
  assert layout_problems(os.path.join('modeling', 'a.py'), source) == []
  source = 'from serving import contract\nfrom serving.graph import frozen'
  path = os.path.join('serving', 'export', 'a.py')
  assert layout_problems(path, source) == []
