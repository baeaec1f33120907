"""Pictures of a report: worst images, dearest errors, missed objects."""

import json
from typing import Any, Dict, Iterator, List, Optional

import numpy as np
from pycocotools import mask as mask_lib

from evaluation.analysis import analysis as analysis_lib
from evaluation.analysis import error_types
from evaluation.pages import image_lookup, page, run_results
from utils import drawing, mask_utils

NUM_WORST, _NUM_OF_TYPE, _NUM_OF_CLASS, _NUM_MISSED = 60, 24, 12, 120
# Of an image, what is drawn.
_LEAST_SCORE, _MOST_DRAWN = 0.05, 100

# Items by the title of their gallery.
Galleries = Dict[str, List[page.Item]]


class Scenes:
  """Boxes of the images of a run.

  Args:
    analysis: of the run.
    results: what it was made from.
  """

  def __init__(
    self, analysis: analysis_lib.Analysis, results: run_results.Results
  ):
    self._analysis = analysis
    self._annotations = results.annotations['annotations']
    self._predictions = results.predictions
    self._images = {e['id']: e for e in results.annotations['images']}

  def name(self, image: int) -> str:
    """The file name, or the id, of an image by its position."""
    image_id = int(self._analysis.images.ids[image])
    return self._images[image_id].get('file_name') or str(image_id)

  def truths(self, image: int) -> List[page.Box]:
    """All boxes of the groundtruth of an image, by its position."""
    objects = self._analysis.objects
    return [self.truth(i) for i in np.flatnonzero(objects.images == image)]

  def detections(self, image: int) -> List[page.Box]:
    """Likewise of detections, those of the highest scores, which come first."""
    found = self._analysis.detections
    shown = self._analysis.kept | (found.scores >= _LEAST_SCORE)
    rows = np.flatnonzero((found.images == image) & shown)
    return [self.detection(i) for i in rows[:_MOST_DRAWN]]

  def truth(self, i: int) -> page.Box:
    """The box of an object, by its position."""
    entry = self._analysis.objects[i]
    kind = 'truth' if self._analysis.found[i] else 'missed'
    kind = 'ignored' if entry.is_crowd else kind
    return self._box(entry, self._annotations, kind)

  def detection(self, i: int) -> page.Box:
    """The box of a detection, by its position."""
    kind = ('good', 'ignored', 'bad')[min(self._analysis.verdicts.types[i], 2)]
    return self._box(self._analysis.detections[i], self._predictions, kind)

  def _box(self, entry, rows, kind) -> page.Box:
    row, label = rows[entry.rows], self._analysis.classes[entry.classes]['name']
    score, bbox, outline = row.get('score'), row.get('bbox'), ''
    if score is not None:
      label += f' {100 * score:.0f}%'
    if self._analysis.iou_type == 'segm':
      image = self._images[row['image_id']]
      rle = mask_utils.to_rle(
        row['segmentation'], image['height'], image['width']
      )
      outline = _outline(rle)
      bbox = bbox or mask_lib.toBbox(rle).tolist()
    bbox = [round(edge, 1) for edge in bbox]
    return page.Box(bbox, label, kind, score, outline)

  def item(self, image, caption, truths, found, **more: Any) -> page.Item:
    """Objects beside detections, in an image by its position."""
    sides = [('Groundtruth', truths), ('Detections', found)]
    image_id = int(self._analysis.images.ids[image])
    return page.Item(image_id, caption, sides, **more)


def _outline(rle: Dict[str, Any]) -> str:
  """Data of an SVG path."""
  x, y, width, height = (int(edge) for edge in mask_lib.toBbox(rle))
  pixels = mask_lib.decode(rle)[y : y + height, x : x + width]
  window = mask_utils.MaskWindow(y, x, np.ascontiguousarray(pixels))
  return drawing.svg_path(mask_utils.window_polygons(window))


def build(
  analysis: analysis_lib.Analysis, results: run_results.Results
) -> Galleries:
  """What a reader learns most from; `picture` of an item is an image's id."""
  scenes = Scenes(analysis, results)
  return {
    'Worst images': list(_worst(analysis, scenes)),
    'Dearest false positives': list(_false_positives(analysis, scenes)),
    'Missed objects': list(_missed(analysis, scenes)),
  }


def _worst(analysis, scenes) -> Iterator[page.Item]:
  images = analysis.images
  wrong = images.wrong + images.missed
  order = np.lexsort([-wrong, images.f1])
  for i in order[wrong[order] > 0][:NUM_WORST]:
    caption = '{}: {} right, {} wrong, {} missed'.format(
      scenes.name(i), *(images[i][k] for k in ('right', 'wrong', 'missed'))
    )
    truths = scenes.truths(i)
    not_found = [box for box in truths if box.kind == 'missed']
    yield scenes.item(i, caption, truths, not_found + scenes.detections(i))


def _false_positives(analysis, scenes) -> Iterator[page.Item]:
  """Of the highest scores of each type."""
  detections, verdicts = analysis.detections, analysis.verdicts
  by_score = np.argsort(-detections.scores, kind='stable')
  for error in error_types.ERRORS[:-1]:
    is_error = verdicts.types[by_score] == error_types.TYPES.index(error)
    for i in by_score[is_error][:_NUM_OF_TYPE]:
      box, image = scenes.detection(i), detections.images[i]
      caption, about = f'{error}: {box.label}', verdicts.objects[i]
      if about >= 0:
        name = analysis.classes[analysis.objects.classes[about]]['name']
        caption += f', IoU {verdicts.ious[i]:.2f} with {name}'
      name = analysis.classes[detections.classes[i]]['name']
      yield scenes.item(
        image,
        caption,
        scenes.truths(image),
        [box],
        tags={'type': error, 'class': name},
        focus=box.bbox,
      )


def _missed(analysis, scenes) -> Iterator[page.Item]:
  """The large ones of each class in turns: one sees what they are."""
  objects = analysis.objects
  missed = np.flatnonzero(~analysis.found & ~objects.is_crowd)
  missed = missed[np.lexsort((-objects.areas[missed], objects.classes[missed]))]
  classes = objects.classes[missed]
  turns = np.arange(len(missed)) - np.searchsorted(classes, classes)
  order = np.argsort(turns, kind='stable')
  for i in missed[order][turns[order] < _NUM_OF_CLASS][:_NUM_MISSED]:
    box, image = scenes.truth(i), objects.images[i]
    how = 'nothing' if analysis.verdicts.finders[i] < 0 else 'a low score'
    side = objects.areas[i] ** 0.5
    caption = f'{box.label}, about {side:.0f} pixels, found by {how}'
    tags = {'class': box.label, 'found': f'by {how}'}
    found = [box, *scenes.detections(image)]
    yield scenes.item(image, caption, [box], found, tags=tags, focus=box.bbox)


def with_pictures(
  galleries: Galleries, results: run_results.Results, pictures: page.Pictures
) -> Galleries:
  """Gives items the numbers of their pictures; those without are left out.

  Raises:
    errors.DataError: none of the images is where they should be.
  """
  ids = [item.picture for items in galleries.values() for item in items]
  if results.images is None or not ids:
    return {}
  image_of = image_lookup.lookup(
    results.images, results.annotations, ids, results.regenerate_source_id
  )
  numbers: Dict[int, Optional[int]] = {}
  shown: Galleries = {}
  for title, items in galleries.items():
    shown[title] = []
    for item in items:
      key = item.picture
      if key not in numbers:
        numbers[key] = pictures.add(key, image_of(key))
      if numbers[key] is not None and pictures.takes(json.dumps(item)):
        shown[title].append(item._replace(picture=numbers[key]))
  return shown
