"""A split deals out every class by its shares, alike everywhere."""

import collections

import pytest

from tools.record_sources import annotations, report, split
from utils import errors

_SHARES = {'train': 0.8, 'val': 0.2}


def _set(classes):
  """A set with an image for each string, whose letters are its objects."""
  images = [
    annotations.AnnotatedImage(
      source_id=number,
      file_name=f'{number}.jpg',
      path=f'images/{number}.jpg',
      boxes=[annotations.Box(name, 0, 0, 1, 1) for name in names],
    )
    for number, names in enumerate(classes)
  ]
  letters = sorted(set(''.join(classes)))
  return annotations.AnnotatedSet(images, dict(enumerate(letters, 1)))


def _images_by_class(annotated):
  """The number of images of each letter; '' are those of none."""
  return collections.Counter(
    name
    for image in annotated.images
    for name in {box.class_name for box in image.boxes} or {''}
  )


def _ids(annotated):
  return [image.source_id for image in annotated.images]


def test_each_class_is_split_by_the_shares():
  # 40 with a, of these 10 with b, too, and 5 with c; 10 with c alone; 20 empty.
  classes = ['aab'] * 10 + ['ac'] * 5 + ['a'] * 25 + ['cc'] * 10 + [''] * 20
  annotated = _set(classes)
  parts = split.split(annotated, _SHARES)
  assert _images_by_class(parts['val']) == {'a': 8, 'b': 2, 'c': 3, '': 4}
  assert _images_by_class(parts['train']) == {'a': 32, 'b': 8, 'c': 12, '': 16}
  assert sorted(_ids(parts['train']) + _ids(parts['val'])) == list(range(70))
  assert _ids(parts['val']) == sorted(_ids(parts['val']))
  assert parts['val'].label_map == {1: 'a', 2: 'b', 3: 'c'}
  three = split.split(annotated, {'x': 0.6, 'y': 0.2, 'z': 0.2})
  assert [len(three[name].images) for name in 'xyz'] == [42, 14, 14]
  assert [_images_by_class(three[n])['b'] for n in 'xyz'] == [6, 2, 2]


def test_a_class_of_few_images_is_first_in_the_larger_part():
  parts = split.split(_set(['a'] * 30 + ['ab']), _SHARES)
  assert _images_by_class(parts['train'])['b'] == 1
  parts = split.split(_set(['a'] * 30 + ['ab'] * 3), _SHARES)
  assert _images_by_class(parts['val'])['b'] == 1


def test_names_and_seed_alone_decide():
  annotated = _set(['a', 'b'] * 10)
  expected = [4, 5, 13, 14]
  assert _ids(split.split(annotated, _SHARES)['val']) == expected
  turned = annotated._replace(images=annotated.images[::-1])
  assert sorted(_ids(split.split(turned, _SHARES)['val'])) == expected
  assert _ids(split.split(annotated, _SHARES, seed=1)['val']) == [
    10,
    15,
    16,
    19,
  ]


def test_images_of_one_file_stay_together():
  annotated = _set(['a'] * 20)
  twice = [
    image._replace(source_id=100 + image.source_id)
    for image in annotated.images
  ]
  annotated = annotated._replace(images=annotated.images + twice)
  train, val = split.split(annotated, _SHARES).values()
  paths = [{image.path for image in part.images} for part in (train, val)]
  assert len(val.images) == 8 and not paths[0] & paths[1]


def test_whole_images_with_a_class_are_split_by_it():
  images = [
    image._replace(class_name='cat' if image.source_id < 5 else 'dog')
    for image in _set([''] * 25).images
  ]
  annotated = annotations.AnnotatedSet(images, {1: 'cat', 2: 'dog'})
  val = split.split(annotated, _SHARES)['val'].images
  assert collections.Counter(image.class_name for image in val) == {
    'cat': 1,
    'dog': 4,
  }


def test_a_part_without_images_is_refused():
  with pytest.raises(errors.DataError, match="'val' none of the 2 images"):
    split.split(_set(['a', 'a']), _SHARES)


def test_findings_are_in_the_report_of_their_split():
  findings = report.Report()
  for name in ('in.json', '1.jpg', '2.jpg'):
    findings.add('box_clipped', name)
  first, second = findings.divided([{'1.jpg'}, {'2.jpg'}])
  assert first.files('box_clipped') == ['in.json', '1.jpg']
  assert second.files('box_clipped') == ['2.jpg']
