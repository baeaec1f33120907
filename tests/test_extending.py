"""The example of docs/extending.md works as it stands there."""

import os
import re
import shutil
import subprocess
import sys

from tests import tiny_run

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_CODE = ('configs', 'dataloader', 'evaluation', 'executor', 'modeling', 'ops')
_BLOCK = re.compile(r'^```(?:python|yaml)\n# (\S+)\n(.*?)^```$', re.M | re.S)


def test_example_trains(tmp_path):
  project = tmp_path / 'project'
  for folder in (*_CODE, 'utils'):
    shutil.copytree(
      os.path.join(_ROOT, folder),
      str(project / folder),
      ignore=shutil.ignore_patterns('__pycache__'),
    )
  shutil.copy(os.path.join(_ROOT, 'main.py'), str(project))
  with open(os.path.join(_ROOT, 'docs', 'extending.md')) as file:
    blocks = dict(_BLOCK.findall(file.read()))
  assert len(blocks) == 4
  for path, text in blocks.items():
    assert not (project / path).exists()
    (project / path).write_text(text)

  def main(*arguments):
    return subprocess.run(
      [sys.executable, 'main.py', *arguments],
      cwd=str(project),
      env=dict(os.environ, PYTHONPATH=str(project)),
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      universal_newlines=True,
    )

  listing = main('--list').stdout
  for name in ('plain', 'lateral', 'cells'):
    assert name in listing
  records = tiny_run.write_data(tmp_path)
  run = main(
    '--mode=train',
    '--model_dir=' + str(tmp_path / 'parts'),
    '--config_file=parts.yaml',
    '--params_override=train.train_file_pattern=' + records,
  )
  assert run.returncode == 0, run.stdout
  assert (tmp_path / 'parts' / 'model.ckpt-2.index').exists()
