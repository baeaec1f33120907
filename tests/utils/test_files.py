"""Files that appear once they are whole."""

import errno
import os

import pytest

from utils import files


@pytest.mark.parametrize(
  'error,words',
  [
    (OSError('encoder error -2'), 'encoder error -2'),
    (OSError(errno.ENOSPC, 'No space left', '.hidden'), 'left.*a.jpg'),
  ],
)
def test_what_stops_a_file_is_told_and_nothing_is_left(tmp_path, error, words):
  path = tmp_path / 'folder' / 'a.jpg'
  with pytest.raises(OSError, match=words):
    with files.Unfinished(str(path)) as temporary:
      with open(temporary, 'w') as f:
        f.write('half')
      raise error
  assert os.listdir(str(tmp_path / 'folder')) == []
