"""A file system that fills up, for tests that may mount one."""

import contextlib
import subprocess

import pytest


@contextlib.contextmanager
def mounted(directory, num_bytes):
  """Mounts a tmpfs at a directory, which holds so much, or skips the test."""
  kind = ['mount', '-t', 'tmpfs', '-o', f'size={num_bytes}', 'tmpfs']
  try:
    subprocess.run(
      [*kind, str(directory)], check=True, stderr=subprocess.DEVNULL
    )
  except (OSError, subprocess.CalledProcessError):
    pytest.skip('this user may not mount a file system')
  try:
    yield
  finally:
    subprocess.run(['umount', '--lazy', str(directory)], check=True)
