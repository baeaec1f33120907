"""Outputs that cannot be."""

import os

import pytest

from serving.inference import outputs
from tests.serving.inference import results
from utils import errors

_FLAGS = (
  'output_json',
  'output_csv',
  'output_dir',
  'output_video',
  'output_html',
)


def _paths(**given):
  return {flag: given.get(flag, '') for flag in _FLAGS}


@pytest.mark.parametrize(
  'given,message',
  [
    ({}, 'at least one of --output_json, --output_csv'),
    (
      {'output_json': 'x', 'output_csv': './x'},
      '--output_json and --output_csv are both ./x',
    ),
    ({'output_csv': 'gs://bucket/x'}, 'written to local files'),
    ({'output_csv': '.'}, '--output_csv=. is a folder'),
    ({'output_html': 'in/a.jpg'}, 'would replace a file that is read'),
    ({'output_json': 'instances.json'}, 'would replace a file that is read'),
    ({'output_dir': './in'}, '--output_dir=./in holds files that are read'),
    ({'output_video': 'x.gif'}, 'x.gif has to end in .mp4 or .avi'),
    ({'output_video': 'x.mp4'}, 'needs one video .* there is in/a.jpg'),
  ],
)
def test_what_is_wrong_is_said(given, message, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(errors.ConfigError, match=message):
    outputs.check(_paths(**given), ['in/a.jpg'], 'instances.json', '')


def test_video_of_several_files():
  with pytest.raises(errors.ConfigError, match='there are 2 files'):
    outputs.check(_paths(output_video='x.avi'), ['a.mp4', 'b.mp4'])
  outputs.check(_paths(output_video='x.avi', output_dir='o'), ['a.mp4'])


@pytest.mark.parametrize(
  'flag, name',
  [
    ('output_html', 'file/x'),
    # The name is possible, that of the temporary file is not.
    ('output_json', 250 * 'x' + '.json'),
    ('output_dir', 'file/x'),
  ],
)
def test_nothing_stays_where_an_output_cannot_be_made(tmp_path, flag, name):
  (tmp_path / 'file').write_text('')
  paths = _paths(
    output_csv=str(tmp_path / 'r.csv'), **{flag: str(tmp_path / name)}
  )
  with pytest.raises(errors.UserError) as raised:
    outputs.make_writers(
      paths, [], None, results.LABEL_MAP, 'title', 9, 0.3, 100
    )
  assert str(raised.value).startswith(
    f"'{tmp_path / name}' cannot be written: "
  )
  assert os.listdir(str(tmp_path)) == ['file']
