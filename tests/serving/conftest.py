"""A small checkpoint, for all tests that serve one."""

import pytest

from tests import tiny_export, tiny_run


@pytest.fixture(scope='session')
def model(tmp_path_factory):
  return tiny_export.make(tmp_path_factory.mktemp('model'))


@pytest.fixture(scope='session')
def records(tmp_path_factory):
  return tiny_run.write_data(tmp_path_factory.mktemp('data'))
