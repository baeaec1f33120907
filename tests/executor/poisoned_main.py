"""main.py, where the boxes of the image with source id 103 are NaN."""

import tensorflow.compat.v1 as tf

import main
from dataloader.parsers import retinanet
from utils import program

_targets = retinanet.RetinanetParser._targets


def _poisoned_targets(self, boxes_scaled, objects, batch):
  targets = _targets(self, boxes_scaled, objects, batch)
  is_bad = tf.equal(batch['source_id'], '103')[:, None, None, None]
  for level, boxes in targets['box_targets'].items():
    nan = tf.fill(tf.shape(boxes), float('nan'))
    bad = is_bad & tf.ones_like(boxes, tf.bool)
    targets['box_targets'][level] = tf.where(bad, nan, boxes)
  return targets


# The decoder and the parser would drop or refuse such a box.
retinanet.RetinanetParser._targets = _poisoned_targets

if __name__ == '__main__':
  program.run(main.main, main._explain)
