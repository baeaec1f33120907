"""What the padding of the first pooling changes in the maps of a ResNet.

PyTorch pads a row on all sides. SAME pads none before and one behind where the
number of rows is even, so that each window lies one row further down, and one
column further right: the maps here are those of the image moved by 2 pixels up
and left, but for what the border lets in.
"""

from typing import Dict, NamedTuple

import cv2
import numpy as np
import tensorflow.compat.v1 as tf

from tools.weight_sources import backbone_graph

_NUM_IMAGES = 2
_SIZE = 384  # pixels
_MOVE = 2  # pixels
_PATCH = 16  # pixels: images are smooth, as photos are
_BORDER = 4  # a quarter of a map's side counts as border


class Difference(NamedTuple):
  """Mean of |here - there|, as a share of the mean of |there|.

  Attributes:
    same: of the same image.
    moved_inside: of the image moved there; the inner half of a map's side.
    moved_border: the rest of the map.
  """

  same: float
  moved_inside: float
  moved_border: float


def measure(
  network: backbone_graph.BackboneGraph, prefix: str
) -> Dict[int, Difference]:
  """Runs a ResNet on random images with either padding.

  Args:
    network: with ResNet's first pooling.
    prefix: of a checkpoint of all its variables.

  Returns:
    A `Difference` for each level.
  """
  with network.graph.as_default(), tf.Session() as session:
    tf.train.Saver(network.variables).restore(session, prefix)
    pooled = network.graph.get_tensor_by_name(
      network.scope + '/initial_max_pool:0'
    )
    # Behind a ReLU a border of 0 is as good as none.
    padding = [[0, 0], [1, 1], [1, 1], [0, 0]]
    padded = tf.nn.max_pool2d(
      tf.pad(pooled.op.inputs[0].op.inputs[0], padding), 3, 2, 'VALID'
    )

    def there(images):
      feeds = {network.images: images}
      return session.run(
        network.outputs, {**feeds, pooled: session.run(padded, feeds)}
      )

    images = _images()
    here = session.run(
      network.outputs, {network.images: images[:, :-_MOVE, :-_MOVE]}
    )
    same = there(images[:, :-_MOVE, :-_MOVE])
    moved = there(images[:, _MOVE:, _MOVE:])
  return {
    level: _difference(here[level], same[level], moved[level]) for level in here
  }


def as_table(differences: Dict[int, Difference]) -> str:
  """Returns lines of text, in percent."""
  lines = [
    'First pooling: padded as PyTorch does not, so maps are those of the image '
    'moved by 2 pixels.',
    'Difference to the source on random images (%):',
    '  level  same image  moved image, inside  moved image, border',
  ]
  for level, (same, inside, border) in sorted(differences.items()):
    lines.append(
      f'  C{level}     {100 * same:10.2f}  {100 * inside:19.4f}  '
      f'{100 * border:19.2f}'
    )
  return '\n'.join(lines)


def _images() -> np.ndarray:
  """Returns [images, size + move, size + move, 3] of mean 0, deviation 1."""
  random = np.random.RandomState(0)
  side = (_SIZE + _MOVE) // _PATCH
  images = [
    cv2.resize(
      random.normal(size=(side, side, 3)).astype(np.float32),
      (_SIZE + _MOVE, _SIZE + _MOVE),
      interpolation=cv2.INTER_CUBIC,
    )
    for _ in range(_NUM_IMAGES)
  ]
  return np.stack(images) / np.std(images)


def _difference(
  here: np.ndarray, same: np.ndarray, moved: np.ndarray
) -> Difference:
  inside = np.zeros(here.shape[1:3], bool)
  margin = here.shape[1] // _BORDER
  inside[margin:-margin, margin:-margin] = True
  change = np.abs(here - moved)
  return Difference(
    np.mean(np.abs(here - same)) / np.mean(np.abs(same)),
    np.mean(change[:, inside]) / np.mean(np.abs(moved[:, inside])),
    np.mean(change[:, ~inside]) / np.mean(np.abs(moved[:, ~inside])),
  )
