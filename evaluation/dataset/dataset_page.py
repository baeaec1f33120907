"""Page of what is wrong with a data set, with pictures of it."""

import io
import os
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image

from dataloader import record_reader
from evaluation.dataset.check_list import Finding, Part
from evaluation.pages import page

# Pictures of a finding.
_MOST = 12


def write(
  path: str, title: str, findings: List[Finding], summary: Dict[str, Any]
) -> None:
  """Writes the page.

  Args:
    path: of the HTML file.
    title: what was checked, such as the name of the config.
    findings: of `data_check.check`.
    summary: of `statistics.summary`.
  """
  pictures = page.Pictures()
  shown = [_shown(found) for found in findings]
  images = _images({_place(*each) for images in shown for each in images})
  galleries = []
  for found, of_finding in zip(findings, shown):
    items = [_item(found, *each, images, pictures) for each in of_finding]
    galleries.append((found, list(filter(None, items))))
  page.write(
    path,
    'dataset.html',
    pictures,
    title=title,
    galleries=galleries,
    summary=summary,
    num_left_out=pictures.num_left_out,
  )


def _shown(found: Finding) -> List[Tuple[Part, int]]:
  """The first images of a finding, each with its twin."""
  images = [(found.part, i) for i in found.images[:_MOST]]
  twins = [(found.part.training, i) for i in found.twins[:_MOST]]
  pairs = zip(images, twins) if twins else zip(images)
  return [each for pair in pairs for each in pair]


def _place(part: Part, index: int) -> Tuple[str, int]:
  contents = part.contents
  name = contents.files[contents.file_indices[index]]
  return name, int(contents.record_indices[index])


def _images(places: Any) -> Dict[Tuple[str, int], bytes]:
  """The encoded images at places."""
  images = {}
  for name in sorted({name for name, _ in places}):
    last = max(index for other, index in places if other == name)
    for index, record in enumerate(tf.io.tf_record_iterator(name)):
      if (name, index) in places:
        feature = tf.train.Example.FromString(record).features.feature
        (encoded,) = feature[record_reader.ENCODED].bytes_list.value
        images[name, index] = encoded
      if index == last:
        break
  return images


def _item(
  found: Finding,
  part: Part,
  index: int,
  images: Dict[Tuple[str, int], bytes],
  pictures: page.Pictures,
) -> Optional[page.Item]:
  """The picture of a finding; None if it cannot be drawn or does not fit."""
  key = file_name, number = _place(part, index)
  try:
    image = Image.open(io.BytesIO(images[key])).convert('RGB')
  except Exception:  # Of damaged bytes, which may be what was found.
    return None
  picture = pictures.add(key, image)
  if picture is None:
    return None
  contents, boxes = part.contents, []
  concerned = set(found.objects if part is found.part else ())
  for row in np.flatnonzero(contents.image_indices == index).tolist():
    ymin, xmin, ymax, xmax = contents.boxes[row]
    box = np.array([xmin, ymin, xmax - xmin, ymax - ymin])
    box *= np.array(image.size * 2, np.float32)
    if np.isfinite(box).all() and (box[2:] >= 0).all():
      kind = 'bad' if row in concerned else 'truth'
      label = part.data.name(int(contents.classes[row]))
      boxes.append(page.Box(box.round(1).tolist(), label, kind))
  names = contents.file_names[index], contents.source_ids[index]
  name = ', '.join(dict.fromkeys(filter(None, names))) or f'record {number}'
  title = f'{os.path.basename(file_name)}, record {number}'
  return page.Item(picture, f'{name} ({part.name})', [(title, boxes)])
