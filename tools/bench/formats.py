"""One image through every format of an export.

ResNet-50 FPN and 91 classes, random weights with spread scores. Every format
takes a normalised float tensor, so that preprocessing is the same for all: what
the project does in TensorFlow, from the pixels of a photograph. The network is
a model with raw outputs; NMS is the difference to one with detections, or for
TFLite, which has none, the project's own.
"""

import os
import tempfile
from typing import Any, Dict, Hashable

import numpy as np
import tensorflow.compat.v1 as tf

from configs import resolver
from serving import contract as contract_lib
from serving import export_options
from serving.export import export, sample_images
from serving.graph import serving_graph
from serving.predictors import preprocessing, runtimes, suppression
from tools.bench import network, turns

_ROUNDS, _SIZE = 15, 640
_FORMATS = ('saved_model', 'frozen_graph', 'onnx', 'tflite')
# Of the photograph, relative to the model's image.
_HEIGHT, _WIDTH = 0.75, 1.0
_RAW = {'postprocess': {'apply_nms': False}}


def _write_checkpoint(size: int, depth: int, directory: str) -> None:
  """Writes random weights with their params.yaml."""
  blocks = {'architecture': {'num_classes': 91}}
  params = resolver.resolve(
    params_override=turns.override(size, depth, **blocks),
    flags={'use_tpu': False},
    mode='export',
  ).params
  options = export_options.ExportOptions(image_size=(size, size))
  built = serving_graph.build(params, options)
  with built.graph.as_default(), tf.Session() as session:
    session.run(tf.global_variables_initializer())
    # The prior is 0.01; some hundreds of candidates pass the threshold.
    network.spread_scores(session, 3e3)
    path = os.path.join(directory, 'model.ckpt')
    tf.train.Saver().save(session, path, write_meta_graph=False)
  resolver.save_params(params, directory)


def _jobs(size: int, with_nms: str, raw: str) -> Dict[Hashable, turns.Job]:
  """What to time, by format and part."""
  (photograph,) = sample_images.made_up(
    1, int(_HEIGHT * size), int(_WIDTH * size)
  )
  preprocessor = preprocessing.Preprocessor((size, size), (size, size))
  batch = preprocessor.prepare(photograph).pixels[np.newaxis]
  calls = {'preprocessing': lambda: preprocessor.prepare(photograph)}
  for name in _FORMATS:
    for directory, part in ((raw, 'network'), (with_nms, 'network and NMS')):
      contract = contract_lib.read(directory)
      artefact = contract.artefact(name)
      run = runtimes.load(directory, artefact)
      if part != 'network' and not artefact.has_nms:
        suppress = suppression.Suppression(directory, contract, artefact)
        calls[name, part] = lambda run=run, end=suppress, a=artefact: end(
          a.by_kind(run(batch))
        )
      else:
        calls[name, part] = lambda run=run: run(batch)
  return {name: turns.timed(call) for name, call in calls.items()}


def measure(options: Any) -> None:
  """Prints a table of the formats, and how they compare."""
  size = options.size or _SIZE
  with tempfile.TemporaryDirectory() as directory:
    checkpoint_dir, with_nms, raw = (
      os.path.join(directory, name) for name in ('checkpoint', 'nms', 'raw')
    )
    os.mkdir(checkpoint_dir)
    _write_checkpoint(size, options.depth, checkpoint_dir)
    for export_dir, params_override in ((with_nms, ''), (raw, _RAW)):
      export.export(
        export_dir,
        checkpoint_dir,
        params_override=params_override,
        image_size=(size, size),
        input_type='raw_image_tensor',
        export_format=_FORMATS,
        check=False,
      )
    jobs = _jobs(size, with_nms, raw)
    results = turns.measure(jobs, options.rounds or _ROUNDS, warm_up=1)
  before = 1e3 * np.array(results.values('preprocessing'))
  medians, rows = {}, []
  for name in _FORMATS:
    alone = 1e3 * np.array(results.values((name, 'network')))
    both = 1e3 * np.array(results.values((name, 'network and NMS')))
    whole = both + before
    medians[name] = np.median(whole)
    parts = (np.median(part) for part in (before, alone, both - alone))
    rows.append((name, *parts, medians[name], np.percentile(whole, 90)))
  turns.print_table(
    ('ms an image', 'preprocessing', 'network', 'NMS', 'median', '90 %'), rows
  )
  fastest = min(medians, key=medians.get)
  others = ', '.join(
    f'{name} {value / medians[fastest]:.2f} times its time'
    for name, value in medians.items()
    if name != fastest
  )
  print(f'fastest: {fastest}; {others}')
