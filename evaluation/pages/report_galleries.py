"""Pictures of a report: worst images, dearest errors, missed objects."""

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
from pycocotools import mask as mask_lib

from evaluation.analysis import analysis as analysis_lib
from evaluation.analysis import error_types
from evaluation.pages import image_lookup, page, run_results
from utils import mask_utils

NUM_WORST, _NUM_OF_TYPE, _NUM_OF_CLASS, _NUM_MISSED = 60, 24, 12, 120
# Of an image, what is drawn.
_LEAST_SCORE, _MOST_DRAWN = 0.05, 100


class Galleries(NamedTuple):
  """Items of the galleries of a report, in order of value.

  Attributes:
    worst: images with the most errors.
    false_positives: those of the highest scores of each type.
    missed: objects of each class.
    num_left_out: images that could not be read, or did not fit on the page.
  """

  worst: List[page.Item]
  false_positives: List[page.Item]
  missed: List[page.Item]
  num_left_out: int


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
    self._rows = results.annotations['annotations']
    self._detections = results.predictions
    self._images = {e['id']: e for e in results.annotations['images']}
    self._names = {entry.id: entry.name for entry in analysis.classes}
    self._crowds: Dict[int, List[Dict[str, Any]]] = {}
    for row in self._rows:
      if row.get('iscrowd'):
        self._crowds.setdefault(row['image_id'], []).append(row)

  def name(self, image: int) -> str:
    """The file name, or the id, of an image by its position."""
    image_id = int(self._analysis.images.ids[image])
    return self._images[image_id].get('file_name') or str(image_id)

  def _class_name(self, position: int) -> str:
    return self._analysis.classes[position].name

  def truth(self, position: int) -> page.Box:
    """Box of an object by its position in `Objects`."""
    objects = self._analysis.objects
    kind = 'truth' if objects.kept[position] else 'missed'
    return self._box(self._rows[objects.rows[position]], kind)

  def found(self, position: int) -> page.Box:
    """Box of a detection by its position in `Detections`."""
    detections = self._analysis.detections
    kind = ('good', 'ignored', 'bad')[min(detections.types[position], 2)]
    return self._box(self._detections[detections.rows[position]], kind)

  def truths(self, image: int) -> List[page.Box]:
    """All boxes of the groundtruth of an image, by its position."""
    crowds = self._crowds.get(int(self._analysis.images.ids[image]), ())
    return [self._box(row, 'ignored') for row in crowds] + [
      self.truth(i)
      for i in np.flatnonzero(self._analysis.objects.images == image)
    ]

  def all_found(self, image: int) -> List[page.Box]:
    """Likewise of detections, those of the highest scores."""
    detections = self._analysis.detections
    rows = np.flatnonzero(
      (detections.images == image)
      & (detections.kept | (detections.scores >= _LEAST_SCORE))
    )
    rows = rows[np.argsort(-detections.scores[rows], kind='stable')]
    return [self.found(i) for i in rows[:_MOST_DRAWN]]

  def worst(self, image: int) -> Any:
    """All of an image: caption, sides, tags and focus of an item."""
    images = self._analysis.images
    caption = '{}: {} right, {} wrong, {} missed'.format(
      self.name(image),
      images.true_positives[image],
      images.false_positives[image],
      images.false_negatives[image],
    )
    truths = self.truths(image)
    not_found = [box for box in truths if box.kind == 'missed']
    return caption, (truths, not_found + self.all_found(image)), {}, None

  def false_positive(self, position: int) -> Any:
    """Likewise of a detection, by its position in `Detections`."""
    detections, objects = self._analysis.detections, self._analysis.objects
    error = error_types.TYPES[detections.types[position]]
    box = self.found(position)
    caption = f'{error}: {box.label}'
    if detections.objects[position] >= 0:
      of = self._class_name(objects.classes[detections.objects[position]])
      caption += f', IoU {detections.ious[position]:.2f} with {of}'
    name = self._class_name(detections.classes[position])
    truths = self.truths(detections.images[position])
    return caption, (truths, [box]), {'type': error, 'class': name}, box.bbox

  def missed(self, position: int) -> Any:
    """Likewise of an object, by its position in `Objects`."""
    objects = self._analysis.objects
    box, name = (
      self.truth(position),
      self._class_name(objects.classes[position]),
    )
    how = 'by nothing' if objects.detections[position] < 0 else 'by a low score'
    side = objects.areas[position] ** 0.5
    return (
      f'{name}, about {side:.0f} pixels, found {how}',
      ([box], [box, *self.all_found(objects.images[position])]),
      {'class': name, 'found': how},
      box.bbox,
    )

  def _box(self, row: Dict[str, Any], kind: str) -> page.Box:
    name, score = self._names[row['category_id']], row.get('score')
    outline = ''
    if self._analysis.iou_type == 'segm':
      image = self._images[row['image_id']]
      rle = mask_utils.to_rle(
        row['segmentation'], image['height'], image['width']
      )
      outline = _outline(rle)
      bbox = mask_lib.toBbox(rle).tolist()
    bbox = row.get('bbox') or bbox
    return page.Box(
      [round(edge, 1) for edge in bbox],
      name if score is None else f'{name} {100 * score:.0f}%',
      kind,
      score,
      outline,
    )


def _outline(rle: Dict[str, Any]) -> str:
  """Data of an SVG path."""
  x, y, width, height = (int(edge) for edge in mask_lib.toBbox(rle))
  pixels = mask_lib.decode(rle)[y : y + height, x : x + width]
  window = mask_utils.MaskWindow(y, x, np.ascontiguousarray(pixels))
  return ''.join(
    'M{}Z'.format(' '.join(map(str, polygon)))
    for polygon in mask_utils.window_polygons(window)
  )


class Choice(NamedTuple):
  """What galleries show: positions of images, detections and objects."""

  worst: List[int]
  false_positives: List[int]
  missed: List[int]


def choose(analysis: analysis_lib.Analysis) -> Choice:
  """Chooses what a reader learns most from."""
  images, detections = analysis.images, analysis.detections
  objects = analysis.objects
  wrong = images.false_positives + images.false_negatives
  worst = [i for i in np.lexsort([-wrong, images.f1]) if wrong[i]]
  by_score = np.argsort(-detections.scores, kind='stable')
  false_positives = [
    i
    for error in error_types.ERRORS[:-1]
    for i in by_score[
      detections.types[by_score] == error_types.TYPES.index(error)
    ][:_NUM_OF_TYPE]
  ]
  not_found = np.flatnonzero(~objects.kept)
  # The large ones of each class in turns: whoever looks sees what they are.
  not_found = not_found[np.argsort(-objects.areas[not_found], kind='stable')]
  turns: List[Tuple[int, int]] = []
  counts: Dict[int, int] = {}
  for i in not_found:
    class_id = int(objects.classes[i])
    counts[class_id] = counts.get(class_id, 0) + 1
    turns.append((counts[class_id], int(i)))
  missed = [i for turn, i in sorted(turns) if turn <= _NUM_OF_CLASS]
  return Choice(worst[:NUM_WORST], false_positives, missed[:_NUM_MISSED])


def build(
  analysis: analysis_lib.Analysis,
  results: run_results.Results,
  pictures: page.Pictures,
) -> Galleries:
  """Makes the items of galleries; those without a picture are absent.

  Args:
    analysis: of the run.
    results: what it was made from.
    pictures: gets the images.

  Raises:
    errors.DataError: none of the images is where they should be.
  """
  choice, scenes = choose(analysis), Scenes(analysis, results)
  wrong, missed = choice.false_positives, choice.missed
  shown = (
    (choice.worst, choice.worst, scenes.worst),
    (wrong, analysis.detections.images[wrong], scenes.false_positive),
    (missed, analysis.objects.images[missed], scenes.missed),
  )
  ids = analysis.images.ids
  image_of = image_lookup.lookup(
    results.images,
    results.annotations,
    [int(ids[image]) for _, images, _ in shown for image in images],
    results.regenerate_source_id,
  )
  numbers: Dict[int, Optional[int]] = {}

  def items(positions, images, describe) -> Iterator[page.Item]:
    for position, image_id in zip(positions, ids[list(images)].tolist()):
      if image_id not in numbers:
        loaded = image_of(image_id)
        numbers[image_id] = loaded and pictures.add(image_id, loaded)
      if numbers[image_id] is not None:
        caption, sides, tags, focus = describe(position)
        titled = list(zip(('Groundtruth', 'Detections'), sides))
        yield page.Item(numbers[image_id], caption, titled, tags, focus)

  made = [list(items(*of_gallery)) for of_gallery in shown]
  return Galleries(*made, list(numbers.values()).count(None))
