"""Detections as COCO json and as comma-separated values."""

import csv
import json
from typing import Any, Dict, List, Optional

import numpy as np

from evaluation import batches
from serving.inference import image_ids, pipeline, writers
from utils import files, mask_utils


class CocoJsonWriter(writers.TextWriter):
  """All detections in COCO's format for results.

  Where images had to be numbered, a second file, `<path>.images.json`, says
  which has which id. Classes of whole images have no `bbox`; masks are
  `segmentation`, compressed run lengths.

  Args:
    path: of the json to write.
    ids: which gave the results their ids.
  """

  def __init__(self, path: str, ids: image_ids.ImageIds):
    super().__init__(path)
    self._ids = ids
    self._images: List[dict] = []
    self._num_detections = 0

  def add(self, result: pipeline.Result) -> None:
    rles = result.detections.run_lengths(*result.pixels.shape[:2])
    for row, (class_id, score, box) in enumerate(result.detections.rows()):
      detection: Dict[str, Any] = {
        'image_id': result.image_id,
        'category_id': class_id,
      }
      if box:
        detection['bbox'] = batches.to_coco_boxes(np.float32([box]))[0].tolist()
      if rles:
        detection['segmentation'] = rles[row]
      detection['score'] = score
      self._stream.write(',\n' if self._num_detections else '[')
      self._stream.write(json.dumps(detection, allow_nan=False))
      self._num_detections += 1
    if result.image_id in self._ids.numbered:
      height, width = result.pixels.shape[:2]
      self._images.append(
        {
          'id': result.image_id,
          'file_name': result.name,
          'height': height,
          'width': width,
        }
      )

  def close(self) -> str:
    self._stream.write(']\n' if self._num_detections else '[]\n')
    super().close()
    sentence = f"'{self._path}': {self._num_detections:,} detections."
    if self._images:
      path = self._path + '.images.json'
      files.write_json(path, {'images': self._images}, indent=1)
      sentence += f" '{path}': which image has which id."
    return sentence


class CsvWriter(writers.TextWriter):
  """A table with a row for each detection, or for each of the top classes.

  Of a model with masks, the last column holds their outlines, a JSON list of
  polygons `[x0, y0, x1, y1, ...]` in pixels.

  Args:
    path: of the file to write.
    label_map: class names by id, if known.
    min_score: lowest score.
  """

  HEADER = 'file,class_id,class_name,score,ymin,xmin,ymax,xmax\n'

  def __init__(
    self, path: str, label_map: Optional[Dict[int, str]], min_score: float
  ):
    super().__init__(path)
    self._label_map = label_map or {}
    self._min_score = min_score
    self._rows = csv.writer(self._stream, lineterminator='\n')
    self._num_rows = 0

  def add(self, result: pipeline.Result) -> None:
    masks = result.pasted_masks()
    if not self._stream.tell():
      further = '' if masks is None else ',polygons'
      self._stream.write(self.HEADER.replace('\n', further + '\n'))
    for row, (class_id, score, box) in enumerate(result.detections.rows()):
      if score >= self._min_score:
        self._num_rows += 1
        name = self._label_map.get(class_id, '')
        cells = [result.name, class_id, name, f'{score:.6f}']
        # Classes of whole images leave the edges empty.
        edges = [f'{edge:.2f}' for edge in box] or [''] * 4
        if masks is not None:
          edges.append(json.dumps(mask_utils.window_polygons(masks[row])))
        self._rows.writerow(cells + edges)

  def close(self) -> str:
    if not self._stream.tell():
      self._stream.write(self.HEADER)
    super().close()
    return f"'{self._path}': {self._num_rows:,} rows."
