"""Flags that name a detector."""

import pytest

from serving.inference import loading
from utils import errors

_NONE = {
  'checkpoint_path': '',
  'saved_model_dir': '',
  'format': '',
  'variant': '',
  'model': None,
  'config_file': '',
  'params_override': '',
  'image_size': '',
}


@pytest.mark.parametrize(
  'flags,message',
  [
    ({}, 'one of --checkpoint_path and --saved_model_dir, not neither'),
    ({'checkpoint_path': 'a', 'saved_model_dir': 'b'}, 'not both'),
    (
      {'checkpoint_path': 'a', 'format': 'onnx'},
      '--format=onnx has no effect with --checkpoint_path',
    ),
    (
      {'saved_model_dir': 'a', 'image_size': '64'},
      '--image_size=64 has no effect with --saved_model_dir',
    ),
    (
      {'checkpoint_path': 'a', 'image_size': '1,2,3'},
      "--image_size=1,2,3 has to be 'height,width'",
    ),
    ({'checkpoint_path': 'a', 'image_size': '0'}, '--image_size=0 has to be'),
    ({'checkpoint_path': 'a', 'image_size': 'b'}, '--image_size=b has to be'),
  ],
)
def test_what_is_wrong_is_said(flags, message):
  with pytest.raises(errors.ConfigError, match=message):
    loading.load(**dict(_NONE, **flags))


def test_models_that_are_not_there():
  with pytest.raises(errors.UserError, match="'/nowhere' does not exist"):
    loading.load(**dict(_NONE, checkpoint_path='/nowhere'))
  with pytest.raises(errors.UserError, match='contract of an exported model'):
    loading.load(**dict(_NONE, saved_model_dir='/nowhere'))
