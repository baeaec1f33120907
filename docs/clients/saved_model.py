"""Runs a SavedModel of --input_type=image_bytes.

  python saved_model.py EXPORT_DIR IMAGE

Needs TensorFlow, 1 or 2.
"""

import sys

import tensorflow.compat.v1 as tf


def load(export_dir):
  """Returns a function: content of an image file -> boxes, classes, scores.

  Boxes are [ymin, xmin, ymax, xmax] in pixels of the image.
  """
  session = tf.Session(graph=tf.Graph())
  meta_graph = tf.saved_model.loader.load(session, ['serve'], export_dir)
  signature = meta_graph.signature_def['serving_default']
  (placeholder,) = signature.inputs.values()
  names = {key: spec.name for key, spec in signature.outputs.items()}

  def detect(encoded):
    # The first dimension is the batch.
    found = session.run(names, {placeholder.name: [encoded]})
    count = int(found['num_detections'][0])
    scale_y, scale_x = found['image_info'][0, 2]
    boxes = found['detection_boxes'][0, :count]
    return (
      boxes / [scale_y, scale_x, scale_y, scale_x],
      found['detection_classes'][0, :count].astype(int),
      found['detection_scores'][0, :count],
    )

  return detect


if __name__ == '__main__':
  run = load(sys.argv[1])
  with open(sys.argv[2], 'rb') as source:
    for box, class_id, score in zip(*run(source.read())):
      print(class_id, round(float(score), 3), box.round(1).tolist())
