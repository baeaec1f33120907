"""Discovery of the modules of a package."""

import importlib
import pkgutil
from types import ModuleType
from typing import Dict, List


def import_submodules(
  package_path: List[str], package_name: str
) -> Dict[str, ModuleType]:
  """Imports all modules directly inside a package.

  A new component thereby needs its own file only: no list to extend.

  Args:
    package_path: the package's `__path__`.
    package_name: the package's `__name__`.

  Returns:
    {name of the file: module}.
  """
  return {
    module.name: importlib.import_module(f'{package_name}.{module.name}')
    for module in pkgutil.iter_modules(package_path)
  }
