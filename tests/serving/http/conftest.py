"""A server of a small model, for the tests of its answers and limits."""

import pytest

from tests.serving.http import serving_run

_SMALL_LIMITS = (
  '--max_body_mb=1',
  '--max_image_megapixels=0.01',
  '--body_timeout=1',
)


@pytest.fixture(scope='session')
def trained(tmp_path_factory):
  """Checkpoint and config."""
  return serving_run.write_checkpoint(tmp_path_factory.mktemp('trained'))


@pytest.fixture(scope='session')
def bytes_model(trained, tmp_path_factory):
  """An export that takes any number of encoded images."""
  return serving_run.export(
    tmp_path_factory.mktemp('exports') / 'bytes',
    trained[0],
    input_type='image_bytes',
    batch_size=None,
  )


@pytest.fixture(scope='session')
def server(bytes_model, tmp_path_factory):
  """One process for all tests."""
  with serving_run.serving(
    bytes_model, tmp_path_factory.mktemp('server'), *_SMALL_LIMITS
  ) as running:
    yield running
