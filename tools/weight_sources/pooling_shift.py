"""What the padding of the first pooling changes in the maps of a ResNet.

PyTorch pads a row on all sides. SAME pads none before and one behind where the
number of rows is even, so that each window lies one row further down and one
column further right: the maps here are those of the image moved by 2 pixels up
and left, but for what the border lets in.
"""

from typing import Dict, Tuple

import cv2
import numpy as np
import tensorflow.compat.v1 as tf

from tools.weight_sources import backbone_graph

_NUM_IMAGES = 2
# Sides of the images, pixels.
SIZE = 384
_MOVE = 2  # pixels
_PATCH = 16  # pixels: images are smooth, as photos are


def measure(
  network: backbone_graph.BackboneGraph, prefix: str
) -> Dict[int, Tuple[float, float, float]]:
  """Runs a ResNet on random images with either padding.

  Args:
    network: with ResNet's first pooling, for images of sides `SIZE`.
    prefix: of a checkpoint of all its variables.

  Returns:
    For each level, mean |here - there| as a share of mean |there|: of the same
    image; of the image moved there, within the inner half of a map's sides; and
    of that in the rest of the map.
  """
  with network.graph.as_default(), tf.Session() as session:
    tf.train.Saver(network.variables).restore(session, prefix)
    pooled = network.graph.get_tensor_by_name(
      network.scope + '/initial_max_pool:0'
    )
    # Behind a ReLU a border of 0 is as good as none.
    padding = [[0, 0], [1, 1], [1, 1], [0, 0]]
    unpooled = pooled.op.inputs[0].op.inputs[0]
    padded = tf.nn.max_pool2d(tf.pad(unpooled, padding), 3, 2, 'VALID')

    def maps_there(images):
      feeds = {network.images: images}
      feeds[pooled] = session.run(padded, feeds)
      return session.run(network.outputs, feeds)

    images = _images()
    moved = maps_there(images[:, _MOVE:, _MOVE:])
    images = images[:, :-_MOVE, :-_MOVE]
    here = session.run(network.outputs, {network.images: images})
    same = maps_there(images)
  differences = {}
  for level in sorted(here):
    side = here[level].shape[1]
    inner = np.s_[:, side // 4 : -(side // 4), side // 4 : -(side // 4)]
    border = np.ones(here[level].shape, bool)
    border[inner] = False
    differences[level] = (
      _difference(here[level], same[level]),
      _difference(here[level][inner], moved[level][inner]),
      _difference(here[level][border], moved[level][border]),
    )
  return differences


def _difference(here: np.ndarray, there: np.ndarray) -> float:
  return float(np.mean(np.abs(here - there)) / np.mean(np.abs(there)))


def _images() -> np.ndarray:
  """Returns [images, size + move, size + move, 3] of deviation 1."""
  random = np.random.RandomState(0)
  noise = random.normal(size=(_NUM_IMAGES, *[SIZE // _PATCH] * 2, 3))
  side = SIZE + _MOVE
  images = np.stack(
    [cv2.resize(n, (side, side), interpolation=cv2.INTER_CUBIC) for n in noise]
  )
  return images / np.std(images)
