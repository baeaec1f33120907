"""Operations with fixed arguments against the original's results."""

import inspect

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader import autoaugment
from tests import golden_numbers

_ARGUMENTS = {
  'AutoContrast': [()],
  'Equalize': [()],
  'Posterize': [(2,), (4,)],
  'Solarize': [(128,), (200,)],
  'SolarizeAdd': [(66,)],
  'Color': [(0.46,), (1.9,)],
  'Contrast': [(0.64,), (1.5,)],
  'Brightness': [(0.5,), (1.4,)],
  'Sharpness': [(0.1,), (1.54,)],
  'TranslateX_BBox': [(20.0,), (-13.0,)],
  'TranslateY_BBox': [(9.0,), (-17.0,)],
  'ShearX_BBox': [(0.18,), (-0.3,)],
  'ShearY_BBox': [(0.06,), (-0.2,)],
  'Rotate_BBox': [(30.0,), (-12.0,)],
}
_BOXES = np.float32(
  [
    [0.1, 0.1, 0.5, 0.4],
    [0.3, 0.5, 0.9, 0.95],
    [0, 0, 1, 1],
    [0.62, 0.05, 0.7, 0.12],
  ]
)


def _image():
  rng = np.random.RandomState(0)
  y, x = np.mgrid[:60, :84]
  channels = [
    127
    + 120
    * np.sin(x / (5.0 + 3 * c) + rng.rand() * 6)
    * np.cos(y / (7.0 + 2 * c))
    for c in range(3)
  ]
  image = np.stack(channels, -1)
  image = np.clip(image + rng.randint(-30, 30, image.shape), 0, 255)
  image = image.astype(np.uint8)
  image[20:30, 21:42] = (250, 20, 128)
  return image


def test_golden_operations():
  image, got = _image(), {}
  with tf.Graph().as_default(), tf.Session() as session:
    for name, argument_lists in _ARGUMENTS.items():
      function = autoaugment.NAME_TO_FUNC[name]
      names = inspect.getfullargspec(function).args
      for i, arguments in enumerate(argument_lists):
        arguments = list(arguments)
        if 'replace' in names:
          arguments.append([128, 128, 128])
        key = f'{name}/{i}'
        if 'bboxes' in names:
          got[key + '/image'], got[key + '/boxes'] = function(
            tf.constant(image), tf.constant(_BOXES), *arguments
          )
        else:
          got[key + '/image'] = function(tf.constant(image), *arguments)
          got[key + '/boxes'] = tf.constant(_BOXES)
    got = session.run(got)
  wanted = golden_numbers.expected('autoaugment_ops.npz')
  assert set(got) == set(wanted)
  for key, want in wanted.items():
    if key.endswith('/boxes'):
      np.testing.assert_allclose(got[key], want, atol=1e-6, err_msg=key)
      continue
    assert got[key].dtype == np.uint8
    difference = np.abs(got[key].astype(int) - want)
    if key.startswith('Sharpness'):
      # The original's sums of rounded products.
      assert difference.max() <= 1 and (difference > 0).mean() < 0.01, key
    else:
      assert difference.max() == 0, key
