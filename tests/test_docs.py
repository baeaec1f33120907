"""Pages name flags and files that there are."""

import glob
import os
import re

import pytest

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PAGES = ('README.md', 'CONTRIBUTING.md', 'docs/*.md')
# Of gcloud, docker, pip, saved_model_cli, sbatch, curl, TensorBoard, and absl.
_OTHERS = {
  *('all', 'data-binary', 'dir', 'editable', 'help', 'logdir'),
  *('preemptible', 'reload_multifile', 'rm', 'version', 'zone'),
}


def _read(pattern):
  paths = glob.glob(os.path.join(_ROOT, pattern), recursive=True)
  return {
    os.path.relpath(path, _ROOT): open(path, encoding='utf-8').read()
    for path in paths
  }


_TEXTS = {k: v for pattern in _PAGES for k, v in _read(pattern).items()}


@pytest.mark.parametrize('page', sorted(_TEXTS))
def test_links_and_paths_exist(page):
  links = re.findall(r'\]\(([^)#:]+?)(?:#[^)]*)?\)', _TEXTS[page])
  folder = os.path.join(_ROOT, os.path.dirname(page))
  # Files of examples that are to be written are not there.
  named = (
    []
    if page == 'docs/extending.md'
    else re.findall(
      r'\b((?:configs|docs|tools|tests|dataloader|modeling|ops|evaluation|'
      r'executor|serving|utils)/[\w/.-]+\w)(?![\w$])',
      _TEXTS[page],
    )
  )
  found = [os.path.exists(os.path.join(folder, link)) for link in links]
  assert all(found), [k for k, ok in zip(links, found) if not ok]
  absent = [
    path for path in named if not os.path.exists(os.path.join(_ROOT, path))
  ]
  assert absent == []


def test_flags_exist():
  sources = {**_read('*.py'), **_read('**/*.py')}.values()
  defined = re.compile(r"DEFINE_\w+\(\s*'(\w+)'|add_argument\(\s*'--([\w-]+)'")
  known = {a or b for text in sources for a, b in defined.findall(text)}
  named = {
    flag
    for text in _TEXTS.values()
    for flag in re.findall(r'(?<![\w-])--([a-z][\w-]*\b)', text)
  }
  negated = {flag for flag in named if flag[:2] == 'no' and flag[2:] in known}
  assert named - known - negated - _OTHERS == set()
