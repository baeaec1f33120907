"""setup.py and requirements.lock name what the code imports."""

import ast
import os
import re
import sys

import pkg_resources

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_DISTRIBUTIONS = {
  'PIL': 'Pillow',
  'absl': 'absl-py',
  'cv2': 'opencv-python-headless',
  'yaml': 'PyYAML',
}
_DEVELOPMENT_FOLDERS = {'tests', 'build', 'dist'}


def _read(name):
  with open(os.path.join(_ROOT, name), encoding='utf-8') as source:
    return source.read()


def _requirements():
  for node in ast.walk(ast.parse(_read('setup.py'))):
    if isinstance(node, ast.keyword) and node.arg == 'install_requires':
      return [
        pkg_resources.Requirement.parse(text)
        for text in ast.literal_eval(node.value)
      ]
  raise AssertionError('setup.py has no install_requires')


def _normalised(name):
  return re.sub('[-_.]+', '-', name).lower()


def _imported_modules():
  modules = set()
  for folder, subfolders, names in os.walk(_ROOT):
    subfolders[:] = [
      name
      for name in subfolders
      if not name.startswith('.') and name not in _DEVELOPMENT_FOLDERS
    ]
    for name in names:
      if name.endswith('.py') and name != 'setup.py':
        path = os.path.relpath(os.path.join(folder, name), _ROOT)
        for node in ast.walk(ast.parse(_read(path), path)):
          if isinstance(node, ast.Import):
            modules.update(alias.name.split('.')[0] for alias in node.names)
          elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules.add(node.module.split('.')[0])
  return modules


def _is_third_party(module):
  if os.path.exists(os.path.join(_ROOT, module)) or os.path.exists(
    os.path.join(_ROOT, module + '.py')
  ):
    return False
  if module in sys.builtin_module_names:
    return False
  __import__(module)
  origin = getattr(sys.modules[module], '__file__', '') or ''
  return 'site-packages' in origin


def test_setup_requires_what_is_imported():
  required = {_normalised(item.project_name) for item in _requirements()}
  imported = {
    _normalised(_DISTRIBUTIONS.get(module, module))
    for module in _imported_modules()
    if _is_third_party(module)
  }
  assert 'tensorflow' in imported
  assert imported - required == set()


def test_locked_versions_satisfy_setup():
  lock = {}
  for line in _read('requirements.lock').splitlines():
    if line and not line.startswith('#'):
      name, version = line.split('==')
      lock[_normalised(name)] = version
  for requirement in _requirements():
    version = lock[_normalised(requirement.project_name)]
    assert requirement.specifier.contains(version), (requirement, version)
