"""Times each operation of augmentation on one image, on one thread.

  python tools/bench_augmentation.py

The image is noise of 480 x 640 pixels with 12 boxes of 100 x 100. For
operations inside of boxes the time is that of one box.
"""

import time
from typing import List

import numpy as np
import tensorflow.compat.v1 as tf
from absl import flags

from dataloader.autoaugment import operations
from utils import program

FLAGS = flags.FLAGS
flags.DEFINE_integer('runs', 100, 'Runs of each; a quarter is faster.', 4)
flags.DEFINE_float('level', 6.0, 'Level of all operations.', 0.0, 10.0)

_HEIGHT, _WIDTH, _BOX, _NUM_BOXES = 480, 640, 100, 12


def _image() -> np.ndarray:
  random = np.random.RandomState(0)
  return random.randint(0, 256, [_HEIGHT, _WIDTH, 3]).astype(np.uint8)


def _boxes() -> np.ndarray:
  size = np.float32([_HEIGHT, _WIDTH])
  corners = np.random.RandomState(0).rand(_NUM_BOXES, 2) * (size - _BOX)
  return np.concatenate(
    [corners / size, (corners + _BOX) / size], axis=1
  ).astype(np.float32)


def milliseconds(name: str) -> float:
  """CPU time of one operation."""
  operation = operations.OPERATIONS[name]
  argument = 0.0
  if operation.argument is not None:
    argument = operation.argument.from_level(FLAGS.level)
  config = tf.ConfigProto(
    intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
  )
  # Without outputs to return, rewriting would remove what is to be measured.
  config.graph_options.rewrite_options.disable_meta_optimizer = True
  with tf.Graph().as_default(), tf.Session(config=config) as session:
    image = tf.placeholder(tf.uint8, [None, None, 3])
    boxes = tf.placeholder(tf.float32, [None, 4])
    number = tf.constant(argument, tf.float64)
    if operation.is_local:
      # Each box is taken with a third of the probability.
      result = [
        operations.apply_local(
          [name], tf.constant(0), image, boxes, tf.constant(3.0), number
        )
      ]
    else:
      result = operations.apply(name, image, boxes, number)
    run = session.make_callable(
      [tf.identity(tensor).op for tensor in result], [image, boxes]
    )
    pixels, edges = _image(), _boxes()
    run(pixels, edges)
    times = []
    for _ in range(FLAGS.runs):
      start = time.process_time()
      run(pixels, edges)
      times.append(time.process_time() - start)
  num_parts = _NUM_BOXES if operation.is_local else 1
  return float(np.percentile(times, 25)) * 1e3 / num_parts


def main(argv: List[str]) -> None:
  del argv  # Unused.
  program.quieten_tensorflow()
  for name, operation in operations.OPERATIONS.items():
    print(
      '{:24}{:6.2f} ms{}'.format(
        name, milliseconds(name), ' a box' if operation.is_local else ''
      ),
      flush=True,
    )


if __name__ == '__main__':
  program.run(main)
