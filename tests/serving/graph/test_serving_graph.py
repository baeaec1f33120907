"""Options of the serving graph, and the images that it takes."""

import io

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from modeling.models import retinanet
from ops import preprocess_ops
from serving import export_options
from serving.graph import serving_graph, serving_inputs, signature
from tests import record_factory, tiny_export
from utils import errors


def _preprocessed(input_type, fed, image_size=(64, 64)):
  """Images and image_info that a network would get, in a batch of any size."""
  with tf.Graph().as_default(), tf.Session() as session:
    inputs = serving_inputs.build(
      input_type, None, image_size, preprocess_ops.padded_size(image_size, 16)
    )
    return session.run(inputs[1:], {inputs.placeholder: fed})


def _saved(image, image_format, **kwargs):
  buffer = io.BytesIO()
  image.save(buffer, image_format, **kwargs)
  return buffer.getvalue()


# Pillow writes no BMP of grey with transparency, and TensorFlow takes colour
# indices for grey in one with a palette.
@pytest.mark.parametrize(
  'mode,image_format',
  [
    (mode, image_format)
    for image_format in ('PNG', 'BMP', 'GIF')
    for mode in ('L', 'RGB', 'RGBA', 'LA', 'P')
    if image_format != 'BMP' or mode not in ('LA', 'P')
  ],
)
def test_pictures_of_any_mode_are_seen_in_three_channels(mode, image_format):
  picture = Image.new('RGB', (64, 64), (100, 100, 100))
  picture = picture.quantize() if mode == 'P' else picture.convert(mode)
  encoded = _saved(picture, image_format)
  images, _ = _preprocessed('image_bytes', [encoded])
  want = (100 / 255 - np.float32([0.485, 0.456, 0.406])) / np.float32(
    [0.229, 0.224, 0.225]
  )
  np.testing.assert_allclose(images[0], np.tile(want, [64, 64, 1]), atol=1e-5)


def test_first_frame_of_an_animation_counts():
  frames = [Image.new('RGB', (32, 16), (value, 0, 0)) for value in (255, 0)]
  encoded = _saved(
    frames[0], 'GIF', save_all=True, append_images=frames[1:], duration=100
  )
  images, info = _preprocessed('image_bytes', [encoded])
  np.testing.assert_array_equal(info[0], [[16, 32], [64, 64], [2, 2], [0, 0]])
  assert images[0, 5, 5, 0] == pytest.approx((1 - 0.485) / 0.229, abs=1e-5)
  # Below the picture is padding.
  assert not images[0, 32:].any()


def test_image_tensor_is_normalised_and_padded_to_the_stride():
  pixels = np.stack([record_factory.pixels(40, 50, seed=i) for i in range(3)])
  images, info = _preprocessed('image_tensor', pixels, (40, 50))
  assert images.shape == (3, 48, 64, 3)
  want = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
  np.testing.assert_allclose(images[:, :40, :50], want, atol=1e-5)
  assert not images[:, 40:].any() and not images[:, :, 50:].any()
  np.testing.assert_array_equal(info[2], [[40, 50], [40, 50], [1, 1], [0, 0]])


def test_bytes_that_are_no_image_are_an_error():
  with pytest.raises(tf.errors.InvalidArgumentError):
    _preprocessed('image_bytes', [b'no image'])


@pytest.mark.parametrize(
  'input_type,batch_size,image_size,words',
  [
    ('raw_image_tensor', 1, (70, 64), 'next larger size is 80,64'),
    ('image_byte', 1, (64, 64), "known are .*Did you mean 'image_bytes'"),
    ('image_bytes', 0, (64, 64), 'batch_size: 0'),
    ('image_bytes', -2, (64, 64), 'batch_size: -2'),
    ('image_tensor', 1, (0, 64), 'input_image_size: 0,64'),
  ],
)
def test_what_cannot_work_is_refused(input_type, batch_size, image_size, words):
  with tf.Graph().as_default(), pytest.raises(errors.ConfigError, match=words):
    serving_inputs.check(input_type, batch_size, image_size, stride=16)


def _named(key, boxes, **options):
  """Outputs of a model that found `boxes` in two images."""
  # Original 100 x 400 and 80 x 80; scaled by 0.5 and 2.
  info = np.float32(
    [
      [[100, 400], [200, 200], [0.5, 0.5], [0, 0]],
      [[80, 80], [200, 200], [2, 2], [0, 0]],
    ]
  )
  with tf.Graph().as_default(), tf.Session() as session:
    outputs = {
      key: tf.constant(np.float32(boxes)),
      'num_detections': tf.constant([1, 1]),
      'detection_classes': tf.constant([[2], [3]]),
      'cls_outputs': {3: tf.zeros([1])},
    }
    named = signature.named_outputs(
      outputs,
      tf.constant(info),
      retinanet.RetinanetModel.served_outputs,
      export_options.ExportOptions(**options),
    )
    return session.run({tensor.name: tensor for tensor in named.values()})


def test_normalised_boxes_are_shares_of_the_original_image():
  boxes = [[[10, 20, 50, 100]], [[16, 32, 160, 80]]]
  want = [[[0.2, 0.1, 1.0, 0.5]], [[0.1, 0.2, 1.0, 0.5]]]
  got = _named('detection_boxes', boxes, output_normalized_coordinates=True)
  np.testing.assert_allclose(got['DetectionBoxes:0'], want, atol=1e-6)
  raw = np.expand_dims(boxes, 2)
  got = _named('raw_boxes', raw, output_normalized_coordinates=True)
  np.testing.assert_allclose(
    got['RawBoxes:0'], np.expand_dims(want, 2), atol=1e-6
  )
  got = _named('detection_boxes', boxes)
  np.testing.assert_array_equal(got['DetectionBoxes:0'], boxes)


def test_casts():
  plain = _named('detection_boxes', np.zeros([2, 1, 4]))
  assert set(plain) == {
    'DetectionBoxes:0',
    'NumDetections:0',
    'DetectionClasses:0',
  }
  assert plain['NumDetections:0'].dtype == np.int32
  assert plain['DetectionClasses:0'].dtype == np.int32
  cast = _named(
    'detection_boxes',
    np.zeros([2, 1, 4]),
    cast_num_detections_to_float=True,
    cast_detection_classes_to_float=True,
  )
  assert cast['NumDetections:0'].dtype == np.float32
  np.testing.assert_array_equal(cast['DetectionClasses:0'], [[2.0], [3.0]])
  assert cast['DetectionClasses:0'].dtype == np.float32


def test_options_reach_the_graph():
  params = tiny_export.resolve(
    {
      'architecture': {
        'min_level': 3,
        'max_level': 4,
        'num_classes': 3,
        'output_flat_fpn_features': True,
      },
      'use_tpu': True,
      'batch_norm_activation': {'use_sync_bn': True},
    }
  )
  built = serving_graph.build(
    params,
    export_options.ExportOptions(
      batch_size=2,
      image_size=(32, 64),
      input_name='img',
      output_image_info=False,
      cast_num_detections_to_float=True,
    ),
    use_bfloat16=True,
  )
  assert {k: t.name for k, t in built.inputs.items()} == {
    'img': 'Placeholder:0'
  }
  assert built.inputs['img'].shape.as_list() == [2, 32, 64, 3]
  assert sorted(built.outputs) == [
    'detection_boxes',
    'detection_classes',
    'detection_scores',
    'num_detections',
  ]
  assert built.outputs['num_detections'].dtype == tf.float32
  operations = built.graph.get_operations()
  kernels = [op for op in operations if op.type == 'Conv2D']
  assert {op.outputs[0].dtype for op in kernels} == {tf.bfloat16}
  # Synchronised batch norm could not be fused.
  assert any(op.type.startswith('FusedBatchNorm') for op in operations)
  assert not any(op.type == 'Rsqrt' for op in operations)
  # 8 x 4 + 4 x 2 cells with 8 channels.
  flat = built.graph.get_tensor_by_name('RawFpnFeatures:0')
  assert flat.shape.as_list() == [2, (8 * 4 + 4 * 2) * 8]
