"""Each input type, batch size and NMS version, written, loaded and run.

Everything goes through SavedModels on disk. The tests that are marked slow run
all 48 combinations, and the others eight, with each value in two or more.
"""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import params_dict
from modeling import factory
from ops import preprocess_ops
from serving.export.formats import saved_model
from tests import record_factory, tiny_export
from utils import mode_keys

_IMAGE_SIZE = (56, 64)
_PADDED_SIZE = (64, 64)
_BATCH_SIZES = (1, 2, None)
_NMS = ('v1', 'v2', 'batched', 'off')
_INPUT_TYPES = ('image_bytes', 'image_tensor', 'raw_image_tensor', 'tf_example')
_SPECS = {
  'num_detections': ('NumDetections:0', 'int32', ()),
  'detection_boxes': ('DetectionBoxes:0', 'float32', (7, 4)),
  'detection_classes': ('DetectionClasses:0', 'int32', (7,)),
  'detection_scores': ('DetectionScores:0', 'float32', (7,)),
  'image_info': ('ImageInfo:0', 'float32', (4, 2)),
}
# 8 * 8 + 4 * 4 cells of one anchor each.
_RAW_SPECS = {
  'raw_boxes': ('RawBoxes:0', 'float32', (80, 1, 4)),
  'raw_encoded_boxes': ('RawEncodedBoxes:0', 'float32', (80, 4)),
  'raw_scores': ('RawScores:0', 'float32', (80, 2)),
  'image_info': ('ImageInfo:0', 'float32', (4, 2)),
}


def _params(model, nms):
  return params_dict.with_overrides(
    model.params,
    {
      'postprocess.apply_nms': nms != 'off',
      'postprocess.nms_version': 'v1' if nms == 'off' else nms,
    },
  )


def _pixels(input_type):
  if input_type in ('image_bytes', 'tf_example'):
    # Two shapes in one batch, both resized.
    return [
      record_factory.pixels(40, 80, seed=1),
      record_factory.pixels(70, 50, seed=2),
    ]
  return [record_factory.pixels(*_IMAGE_SIZE, seed=i) for i in (3, 4)]


def _prepared(pixels):
  """One image as evaluation prepares it, and its image_info."""
  with tf.Graph().as_default(), tf.Session() as session:
    plan = preprocess_ops.plan_resize(
      tf.constant(pixels.shape[:2], tf.float32), _IMAGE_SIZE
    )
    image = preprocess_ops.resize_crop_normalize(
      tf.constant(pixels), plan, _IMAGE_SIZE
    )
    image = preprocess_ops.pad_image(image, _PADDED_SIZE)
    return session.run([image, plan.image_info])


def _raw():
  return np.random.RandomState(5).randn(2, *_PADDED_SIZE, 3).astype(np.float32)


def _fed(input_type):
  if input_type == 'raw_image_tensor':
    return _raw()
  pixels = _pixels(input_type)
  if input_type == 'image_tensor':
    return np.stack(pixels)
  encoded = [record_factory.encode(image) for image in pixels]
  if input_type == 'image_bytes':
    return encoded
  return [record_factory.make_record(encoded=image) for image in encoded]


def _expected(model, input_type, nms):
  """The plain predict graph, fed with prepared images."""
  if input_type == 'raw_image_tensor':
    images = _raw()
    info = [[_PADDED_SIZE, _PADDED_SIZE, (1, 1), (0, 0)]] * 2
  else:
    images, info = zip(*[_prepared(p) for p in _pixels(input_type)])
  info = np.float32(info)
  with tf.Graph().as_default(), tf.Session() as session:
    detector = factory.model_generator(_params(model, nms))
    outputs = detector.build_outputs(
      tf.constant(np.float32(images)),
      {'image_info': tf.constant(info)},
      mode_keys.PREDICT,
    )
    tf.train.Saver().restore(session, model.checkpoint)
    specs = _RAW_SPECS if nms == 'off' else _SPECS
    fetches = {key: outputs[key] for key in specs if key in outputs}
    return dict(session.run(fetches), image_info=info)


def _combinations():
  for i, input_type in enumerate(_INPUT_TYPES):
    for j, nms in enumerate(_NMS):
      for k, batch_size in enumerate(_BATCH_SIZES):
        is_quick = i % 2 == j % 2 and (i + j) % len(_BATCH_SIZES) == k
        yield pytest.param(
          input_type,
          batch_size,
          nms,
          marks=[] if is_quick else [pytest.mark.slow],
        )


@pytest.mark.parametrize('input_type,batch_size,nms', _combinations())
def test_combination_gives_what_the_model_gives(
  model, tmp_path, input_type, batch_size, nms
):
  prepared_as = 'image_bytes' if input_type == 'tf_example' else input_type
  expected = _expected(model, prepared_as, nms)
  if nms != 'off':
    assert expected['num_detections'].min() > 0
  (artefact,) = saved_model.write(
    tiny_export.request_of(
      model,
      params=_params(model, nms),
      input_type=input_type,
      batch_size=batch_size,
      image_size=(
        _PADDED_SIZE if input_type == 'raw_image_tensor' else _IMAGE_SIZE
      ),
    ),
    str(tmp_path),
  )
  specs = dict(_RAW_SPECS if nms == 'off' else _SPECS)
  if nms == 'batched':
    specs['detection_classes'] = ('DetectionClasses:0', 'float32', (7,))
  assert {s.key: (s.name, s.dtype, s.shape) for s in artefact.outputs} == {
    key: (name, dtype, (batch_size, *shape))
    for key, (name, dtype, shape) in specs.items()
  }
  with tf.Graph().as_default(), tf.Session() as session:
    meta_graph = tf.saved_model.loader.load(session, ['serve'], str(tmp_path))
    (signature,) = meta_graph.signature_def.items()
    assert signature[0] == 'serving_default'
    _check_signature(signature[1], artefact)
    # A dynamic batch takes any number.
    for count in [batch_size] if batch_size else [1, 2]:
      got = session.run(
        {key: spec[0] for key, spec in specs.items()},
        {'Placeholder:0': _fed(input_type)[:count]},
      )
      for key, value in got.items():
        np.testing.assert_allclose(
          value, expected[key][:count], rtol=1e-5, atol=1e-4, err_msg=key
        )


def _check_signature(signature, artefact):
  assert signature.method_name == 'tensorflow/serving/predict'
  assert set(signature.inputs) == {'input'}
  assert signature.inputs['input'].name == 'Placeholder:0'
  for spec in artefact.inputs + artefact.outputs:
    info = {**signature.inputs, **signature.outputs}[spec.key]
    assert info.name == spec.name
    assert tf.as_dtype(info.dtype).name == spec.dtype
    assert [d.size for d in info.tensor_shape.dim] == [
      -1 if d is None else d for d in spec.shape
    ]
