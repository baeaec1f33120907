"""Masks that cannot be used are named before the first step."""

import io

import numpy as np
import pytest
from PIL import Image

from dataloader import record_check, record_contents
from tests import golden_numbers, record_factory
from utils import errors

_PNG = record_factory.encode(np.ones([40, 60], np.uint8))
_palette = io.BytesIO()
Image.new('P', (60, 40)).save(_palette, 'PNG')
_GOOD = record_factory.make_record(b'5', object__mask=[_PNG])
_BAD_RECORDS = {
  'holds 0 masks for 1 objects. tools/create_tf_record.py writes them with '
  '--include_masks. Two-stage models train without by': (
    record_factory.make_record(b'77')
  ),
  'holds 2 masks for 1 objects': record_factory.make_record(
    b'77', object__mask=[_PNG, _PNG]
  ),
  'mask 0 of feature image/object/mask is 40 x 60 pixels, the image 60 x 40': (
    record_factory.make_record(
      b'77', object__mask=[record_factory.encode(np.ones([60, 40], np.uint8))]
    )
  ),
  'mask 0 of feature image/object/mask is no PNG': record_factory.make_record(
    b'77', object__mask=[b'no mask']
  ),
  'mask 0 of feature image/object/mask has 16 bits a pixel': (
    record_factory.make_record(
      b'77', object__mask=[record_factory.encode(np.ones([40, 60], np.uint16))]
    )
  ),
  'mask 0 of feature image/object/mask is a picture with the channels RGB': (
    record_factory.make_record(
      b'77', object__mask=[record_factory.encode(record_factory.pixels())]
    )
  ),
  'is a picture with a palette. A mask has one': record_factory.make_record(
    b'77', object__mask=[_palette.getvalue()]
  ),
  'is a JPEG, not a PNG': record_factory.make_record(
    b'77', object__mask=[record_factory.encode(record_factory.pixels(), 'JPEG')]
  ),
  'number 0 of feature image/object/mask does not decode': (
    record_factory.make_record(b'77', object__mask=[_PNG[:-25]])
  ),
  'image/object/mask is a float_list, not a bytes_list': (
    record_factory.make_record(b'77', object__mask=[1.0])
  ),
}


def _params(include_mask=True):
  return golden_numbers.make_params(
    {
      'type': 'mask_rcnn',
      'architecture': {'num_classes': 4, 'include_mask': include_mask},
    }
  )


@pytest.mark.parametrize('reason', sorted(_BAD_RECORDS))
def test_check_before_a_run(tmp_path, reason):
  files = [
    record_factory.write_records(tmp_path / f'{name}.tfrecord', records)
    for name, records in (
      ('a', [_GOOD, _GOOD]),
      ('b', [_GOOD, _BAD_RECORDS[reason], _GOOD]),
    )
  ]
  with pytest.raises(errors.DataError) as caught:
    record_check.check_contents(','.join(files), _params(), 'train.key')
  message = str(caught.value)
  assert message.startswith(
    f"train.key: TFRecord file '{files[1]}', record 1 (source id '77'): "
  )
  assert reason in message


def test_boxes_alone_need_no_masks(tmp_path):
  path = record_factory.write_records(
    tmp_path / 'a.tfrecord', [record_factory.make_record(b'1')]
  )
  record_check.check_contents(path, _params(include_mask=False), 'key')


def test_contents_are_recognised(tmp_path):
  path = record_factory.write_records(tmp_path / 'a.tfrecord', [_GOOD])
  first, *_ = record_check.contents_of([path])
  assert first == record_contents.OBJECTS_WITH_MASKS
