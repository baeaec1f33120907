"""Page of what is wrong with a data set, with pictures of it."""

import io
import os
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image

from dataloader import record_reader
from evaluation.dataset import check_list, data_check
from evaluation.pages import page

# Pictures of a finding.
_MOST = 12


def write(
  path: str,
  title: str,
  data: check_list.Data,
  findings: List[data_check.Finding],
  summary: Dict[str, Any],
) -> None:
  """Writes the page.

  Args:
    path: of the HTML file.
    title: what was checked, such as the name of the config.
    data: that was checked.
    findings: of `data_check.check`.
    summary: of `statistics.summary`.
  """
  pictures = page.Pictures()
  images = _images(data, findings)
  galleries = [
    (
      finding,
      [
        item
        for part, index in _shown(data, finding)
        for item in _items(finding, part, index, images, pictures, data)
      ],
    )
    for finding in findings
  ]
  page.write(
    path,
    'dataset.html',
    pictures,
    title=title,
    galleries=galleries,
    sets=summary['sets'],
    classes=_class_rows(data, summary),
    num_left_out=pictures.num_left_out,
  )


def _shown(
  data: check_list.Data, finding: data_check.Finding
) -> Iterator[Tuple[check_list.Part, int]]:
  """Yields the images of a finding, each with its twin."""
  found, other = finding.found, data.other(finding.part)
  for number, index in enumerate(found.images[:_MOST]):
    yield finding.part, index
    if found.twins:
      yield other, found.twins[number]


def _items(
  finding: data_check.Finding,
  part: check_list.Part,
  index: int,
  images: Dict[Any, bytes],
  pictures: page.Pictures,
  data: check_list.Data,
) -> List[page.Item]:
  """The picture of a finding; none if it cannot be drawn or does not fit."""
  contents = part.contents
  key = _place(part, index)
  try:
    image = Image.open(io.BytesIO(images[key])).convert('RGB')
  except Exception:  # Of damaged bytes, which may be what was found.
    return []
  number = pictures.add(key, image)
  if number is None:
    return []
  scale = np.array(image.size * 2, np.float32)
  boxes = []
  concerned = set(finding.found.objects if part is finding.part else ())
  for row in np.flatnonzero(contents.image_indices == index).tolist():
    ymin, xmin, ymax, xmax = contents.boxes[row]
    box = np.array([xmin, ymin, xmax - xmin, ymax - ymin]) * scale
    if not np.isfinite(box).all() or (box[2:] < 0).any():
      continue
    class_id = int(contents.classes[row])
    boxes.append(
      page.Box(
        box.round(1).tolist(),
        data.names.get(class_id, str(class_id)),
        'bad' if row in concerned else 'truth',
      )
    )
  name = contents.source_ids[index] or f'record {key[1]}'
  title = f'{os.path.basename(key[0])}, record {key[1]}'
  return [page.Item(number, f'{name} ({part.name})', [(title, boxes)])]


def _place(part: check_list.Part, index: int) -> Any:
  contents = part.contents
  return (
    contents.files[contents.file_indices[index]],
    int(contents.record_indices[index]),
  )


def _images(
  data: check_list.Data, findings: List[data_check.Finding]
) -> Dict[Any, bytes]:
  """Encoded images to show, by file and position."""
  wanted = {
    _place(part, index)
    for finding in findings
    for part, index in _shown(data, finding)
  }
  images = {}
  for name in sorted({name for name, _ in wanted}):
    last = max(index for other, index in wanted if other == name)
    for index, record in enumerate(tf.io.tf_record_iterator(name)):
      if (name, index) in wanted:
        feature = tf.train.Example.FromString(record).features.feature
        (encoded,) = feature[record_reader.ENCODED].bytes_list.value
        images[name, index] = encoded
      if index == last:
        break
  return images


def _class_rows(
  data: check_list.Data, summary: Dict[str, Any]
) -> List[List[Any]]:
  """Id, name and the count in each set."""
  counts = [
    {entry['id']: entry['count'] for entry in part['classes']}
    for part in summary['sets'].values()
  ]
  ids = sorted(set(data.names).union(*counts))
  return [
    [i, data.names.get(i, ''), *(each.get(i, 0) for each in counts)]
    for i in ids
  ]
