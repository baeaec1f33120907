import tensorflow.compat.v1 as tf

from executor.preflight import dtypes, layer_groups, tpu_graph


def test_operations_are_counted_by_part_and_type():
  with tf.Graph().as_default() as graph:
    images = tf.placeholder(tf.bfloat16, [2, 8, 8, 3])
    kernel = tf.constant(1.0, tf.bfloat16, [3, 3, 3, 4])
    with tf.name_scope('net/first'):
      outputs = tf.nn.relu(tf.nn.conv2d(images, kernel, padding='SAME'))
    with tf.name_scope('losses'):
      values = tf.cast(outputs, tf.float32)
      loss = tf.reduce_sum(tf.square(tf.square(values)))
      # Of neither type.
      tf.cast(values, tf.int32)
    # Neither is the backward pass counted, nor what comes from no image.
    tf.gradients(loss, kernel)
    with tf.name_scope('losses'):
      tf.square(tf.constant(1.0))
  parts = dtypes.count(
    tpu_graph.TpuGraph(
      mode='train',
      graph=graph,
      operations=graph.get_operations(),
      infeed=[images],
      infeed_names=['images'],
      num_replicas=1,
      replica_batch_size=2,
    ),
    layer_groups.LayerGroups(8, 3),
  )
  assert parts == [
    dtypes.Part('net', 2, 0, {}),
    dtypes.Part('losses', 0, 4, {'Square': 2, 'Cast': 1, 'Sum': 1}),
  ]
  assert list(parts[1].float32_types) == ['Square', 'Cast', 'Sum']
