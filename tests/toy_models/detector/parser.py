"""Input of the dots: the object whose centre lies in a cell."""

import tensorflow.compat.v1 as tf

from dataloader import parser_registry
from dataloader.parsers import detection
from ops import anchors, box_coding


class DotsParser(detection.DetectionParser):
  def __init__(self, make_anchors, **kwargs):
    super().__init__(**kwargs)
    self._anchors = make_anchors(self._padded_size)

  def _targets(self, boxes_scaled, objects, batch):
    ((level, (height, width)),) = self._anchors.grid_sizes.items()
    size = [objects.num_objects.shape.as_list()[0], height, width]
    centers = (boxes_scaled[:, :2] + boxes_scaled[:, 2:]) / 2
    cells = tf.cast(centers / 2**level, tf.int32)
    cells = tf.minimum(cells, [height - 1, width - 1])
    where = tf.concat([objects.image_indices[:, tf.newaxis], cells], axis=1)
    anchor_boxes = tf.reshape(
      self._anchors.boxes_by_level[level], [height, width, 4]
    )
    encoded = box_coding.encode_targets(
      boxes_scaled, tf.gather_nd(anchor_boxes, cells)
    )
    return {
      'classes': tf.tensor_scatter_update(
        tf.zeros(size, tf.int32), where, objects.classes
      ),
      'boxes': tf.tensor_scatter_update(tf.zeros([*size, 4]), where, encoded),
    }


@parser_registry.register_parser('dots_parser')
def from_params(params, mode):
  return DotsParser(
    make_anchors=lambda size: anchors.from_params(params, size),
    **detection.arguments(params, mode),
  )
