"""Records and a config that are checked, for tests."""

import json

from evaluation.dataset import data_check
from tests import classification_set, golden_numbers, record_factory

_GOOD = {'height': [40], 'width': [60]}


def record(number, seed=None, image_format='PNG', **changes):
  """A record of one object in a picture of its own."""
  pixels = record_factory.pixels(seed=number if seed is None else seed)
  return record_factory.make_record(
    **{
      'source_id': str(number).encode(),
      'encoded': record_factory.encode(pixels, image_format),
      'classes': [1 + number % 2],
      **_GOOD,
      **changes,
    }
  )


def _params(model='retinanet', **blocks):
  parser = {'mask_rcnn': 'maskrcnn_parser'}.get(model, model + '_parser')
  changes = {
    'type': model,
    'architecture': {'num_classes': 3},
    parser: {'output_size': [128, 192]},
  }
  if model == 'retinanet':
    # Meets the boxes of 64 x 96 pixels that the records have.
    changes['anchor'] = {'anchor_size': 4.0}
  for block, values in blocks.items():
    changes.setdefault(block, {}).update(values)
  return golden_numbers.make_params(changes)


def annotations(numbers, **changes):
  """COCO's format of `record`."""
  return {
    'images': [{'id': i, 'height': 40, 'width': 60} for i in numbers],
    'categories': [{'id': 1, 'name': 'a'}, {'id': 2, 'name': 'b'}],
    'annotations': [
      {
        'id': i,
        'image_id': i,
        'category_id': 1 + i % 2,
        'bbox': [12, 4, 30, 20],
        'area': 600,
        'iscrowd': 0,
      }
      for i in numbers
    ],
    **changes,
  }


def write(folder, train=(), test=(), model='retinanet', texts=None, **blocks):
  """Records of 2 good images and more in each set; returns the config."""
  make = record
  if model == 'classification':
    make = lambda number: classification_set.record(number, number % 2)  # noqa: E731
  sets = {
    'train': [make(1), make(2), *train],
    'eval': [make(11), make(12), *test],
  }
  settings = {'train': {}, 'eval': {'type': 'box', 'use_json_file': True}}
  if model == 'classification':
    settings['eval'] = {}
  for name, records in sets.items():
    settings[name][f'{name}_file_pattern'] = record_factory.write_records(
      folder / f'{name}.tfrecord', records
    )
  for key, content in (texts or {}).items():
    path = folder / key
    path.write_text(
      content if isinstance(content, str) else json.dumps(content)
    )
    settings['eval'][key] = str(path)
  for block, values in blocks.items():
    settings.setdefault(block, {}).update(values)
  return _params(model, **settings)


def check(params, decode_images=True, **kwargs):
  data = data_check.load(params, decode_images=decode_images, **kwargs)
  return data, data_check.check(data)


def told(params, **kwargs):
  """(severity, set, title, count, example) of what is found."""
  return [
    (
      finding.severity,
      finding.part.name,
      finding.title,
      finding.count,
      finding.example,
    )
    for finding in check(params, **kwargs)[1]
  ]


def crowded(number, num_objects, num_crowds=0):
  return record(
    number,
    boxes=[(0, 0, 1, 1)] * num_objects,
    classes=[1] * num_objects,
    object__is_crowd=[1] * num_crowds + [0] * (num_objects - num_crowds),
  )
