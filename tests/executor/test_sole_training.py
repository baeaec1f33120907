"""One training at a time in a directory."""

import pytest

from executor import sole_training
from utils import errors


def test_a_second_training_is_refused_until_the_first_ends(tmp_path):
  directory = str(tmp_path / 'new')
  for _ in range(2):
    with sole_training.alone_in(directory) as is_alone:
      assert is_alone
      with pytest.raises(errors.UserError, match="runs in model_dir '.*new'"):
        with sole_training.alone_in(directory):
          pass
    assert not (tmp_path / 'new').exists()


def test_a_bucket_has_no_lock():
  with sole_training.alone_in('gs://bucket/run') as is_alone:
    assert not is_alone
