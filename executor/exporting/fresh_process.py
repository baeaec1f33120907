"""Runs an exported model in a process that knows nothing of this one.

  python -m executor.exporting.fresh_process EXPORT_DIR FORMAT VARIANT IN OUT

IN and OUT are .npz files of the images and of their detections.
"""

import os
import subprocess
import sys
import tempfile
from typing import List, Sequence

import numpy as np

from executor.exporting import contract
from executor.predictors import exported, predictor
from utils import errors

_ROOT = os.path.dirname(
  os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
)
_NUM_LINES = 3


def predict(
  export_dir: str, artefact: contract.Artefact, images: Sequence[np.ndarray]
) -> List[predictor.Detections]:
  """As `Predictor.predict`, of an artefact, in a process of its own.

  Raises:
    UserError: the process failed.
  """
  with tempfile.TemporaryDirectory() as directory:
    source, target = (
      os.path.join(directory, name) for name in ('images.npz', 'found.npz')
    )
    np.savez(source, *images)
    command = [sys.executable, '-W', 'ignore', '-m', __name__]
    command += [os.path.abspath(export_dir), artefact.format, artefact.variant]
    run = subprocess.run(
      command + [source, target],
      cwd=directory,
      env=_environment(),
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      universal_newlines=True,
    )
    if run.returncode:
      raise errors.UserError(
        'The exported {} does not run in a fresh process: {}'.format(
          artefact.format, ' '.join(run.stdout.splitlines()[-_NUM_LINES:])
        )
      )
    with np.load(target) as found:
      return [
        predictor.Detections(
          *[found['{}_{}'.format(name, i)] for name in _FIELDS]
        )
        for i in range(len(images))
      ]


_FIELDS = predictor.Detections._fields


def _environment():
  paths = [_ROOT, os.environ.get('PYTHONPATH', '')]
  return dict(
    os.environ,
    PYTHONPATH=os.pathsep.join(filter(None, paths)),
    TF_CPP_MIN_LOG_LEVEL='3',
  )


def main(arguments: Sequence[str]) -> None:
  export_dir, format_name, variant, source, target = arguments
  with np.load(source) as stored:
    images = [stored['arr_{}'.format(i)] for i in range(len(stored.files))]
  model = exported.load(export_dir, format_name, variant)
  np.savez(
    target,
    **{
      '{}_{}'.format(name, i): value
      for i, detections in enumerate(model.predict(images))
      for name, value in detections._asdict().items()
    },
  )


if __name__ == '__main__':
  main(sys.argv[1:])
