"""Copy-paste against the pipeline of two-stage models without it.

Mask R-CNN's defaults at 640x640 with scale jitter 0.8 to 1.2 and batches of 8.
Records have ellipses for masks, which blood cells nearly are. Processor time
counts, since copy-paste takes two images for one.
"""

import os
import tempfile
import time
from typing import Any

import numpy as np

from configs import resolver
from dataloader import input_reader
from tools.bench import pipeline, turns
from tools.record_sources import (
  annotations,
  conversion,
  detection_records,
  report,
)
from utils import mode_keys

_SIZE, _BATCH, _ROUNDS = 640, 8, 5
_LEAST_SHARE = 0.6


def _with_ellipse(box: annotations.Box) -> annotations.Box:
  angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
  x = (box.xmin + box.xmax + np.cos(angles) * (box.xmax - box.xmin)) / 2
  y = (box.ymin + box.ymax + np.sin(angles) * (box.ymax - box.ymin)) / 2
  return box._replace(segmentation=[np.stack([x, y], axis=1).ravel().tolist()])


def _write_records(annotated: annotations.AnnotatedSet, directory: str) -> str:
  images = [
    image._replace(boxes=list(map(_with_ellipse, image.boxes)))
    for image in annotated.images
  ]
  conversion.convert(
    {'masks': annotated._replace(images=images)},
    report.Report(),
    directory,
    num_shards=8,
    kind=detection_records.DetectionRecords(include_masks=True),
  )
  return os.path.join(directory, 'masks-*.tfrecord')


def work(pastes: bool, file_pattern: str, batches: int) -> turns.Figures:
  """Measures the pipeline with or without copy-paste."""
  start = time.perf_counter()
  params = resolver.resolve(
    params_override={
      'type': 'mask_rcnn',
      'architecture': {
        'pre_parser': 'extract_objects_parser' if pastes else None
      },
      'maskrcnn_parser': {
        'output_size': [_SIZE, _SIZE],
        'aug_scale_min': 0.8,
        'aug_scale_max': 1.2,
        'copy_paste': pastes,
      },
    },
    flags={'use_tpu': True},
  ).params
  input_fn = input_reader.InputFn(file_pattern, params, mode_keys.TRAIN)
  dataset = input_fn({'batch_size': _BATCH})
  return pipeline.run(dataset, batches, _BATCH, start=start)


def measure(options: Any, annotated: annotations.AnnotatedSet) -> None:
  """Prints the table of both pipelines and their ratio."""
  with tempfile.TemporaryDirectory() as directory:
    pattern = options.file_pattern or _write_records(annotated, directory)
    results = turns.measure(
      {
        pastes: turns.in_own_process(
          'copy_paste', pastes, pattern, options.batches
        )
        for pastes in (False, True)
      },
      options.rounds or _ROUNDS,
    )
  columns = ('images/s', 'CPU ms', 'peak GB', 'first batch s')
  turns.print_table(
    ('input of Mask R-CNN', *columns),
    (
      (name, *(results.median(pastes, column) for column in columns))
      for pastes, name in ((False, 'without copy-paste'), (True, 'with it'))
    ),
  )
  share = results.ratio(False, True, 'CPU ms')
  print(
    f'with / without, images by CPU time {share:.2f} (at least {_LEAST_SHARE})'
  )
