"""Times one image through every format of an export.

  python tools/bench_export.py

RetinaNet with ResNet-50 FPN and 91 classes, random weights with spread scores.
Every format takes a normalised float tensor, so that preprocessing is the same
for all: what the project does in TensorFlow, from the pixels of a photograph.
The network is a model with raw outputs; NMS is the difference to one with
detections, or for TFLite, which has none, the project's own. All are measured
in turn.
"""

import os
import tempfile
from typing import Any, Callable, Dict

import numpy as np
import tensorflow.compat.v1 as tf
from absl import flags

from configs import resolver
from serving import contract as contract_lib
from serving.export import export, sample_images
from serving.graph import serving_graph
from serving.predictors import preprocessing, runtimes, suppression
from tools import bench_timing
from utils import program

FLAGS = flags.FLAGS
flags.DEFINE_integer('rounds', 15, 'Rounds of all measurements in turn.', 1)
flags.DEFINE_integer('size', 640, 'Sides of the image in pixels.', 128)
flags.DEFINE_integer('depth', 50, 'Depth of the ResNet.')

FORMATS = ('saved_model', 'frozen_graph', 'onnx', 'tflite')
# Of the photograph, relative to the model's image.
_HEIGHT, _WIDTH = 0.75, 1.0
_RAW = {'postprocess': {'apply_nms': False}}


def _write_checkpoint(directory: str) -> Any:
  """Writes random weights with their params.yaml; returns the config."""
  params = resolver.resolve(
    params_override={
      'architecture': {'num_classes': 91},
      'resnet': {'resnet_depth': FLAGS.depth},
      'retinanet_parser': {'output_size': [FLAGS.size, FLAGS.size]},
    },
    flags={'use_tpu': False},
    mode='export',
  ).params
  size = (FLAGS.size, FLAGS.size)
  built = serving_graph.build(params, 'raw_image_tensor', 1, size)
  with built.graph.as_default(), tf.Session() as session:
    session.run(tf.global_variables_initializer())
    # The prior is 0.01; some hundreds of candidates pass the threshold.
    (kernel,) = [
      v
      for v in tf.global_variables()
      if v.op.name.endswith('class-predict/kernel')
    ]
    session.run(kernel.assign(kernel * 3e3))
    tf.train.Saver().save(
      session, os.path.join(directory, 'model.ckpt'), write_meta_graph=False
    )
  resolver.save_params(params, directory)
  return params


def _export(checkpoint_dir: str, directory: str, params_override: Any) -> None:
  export.export(
    directory,
    checkpoint_dir,
    params_override=params_override,
    image_size=(FLAGS.size, FLAGS.size),
    input_type='raw_image_tensor',
    export_format=FORMATS,
    check=False,
  )


def _jobs(with_nms: str, raw: str) -> Dict[str, Callable[[], Any]]:
  """What to time, by format and part."""
  size = (FLAGS.size, FLAGS.size)
  (photograph,) = sample_images.made_up(
    1, int(_HEIGHT * FLAGS.size), int(_WIDTH * FLAGS.size)
  )
  preprocessor = preprocessing.Preprocessor(size, size)
  batch = preprocessor.prepare(photograph).pixels[np.newaxis]
  jobs: Dict[str, Callable[[], Any]] = {
    'preprocessing': lambda: preprocessor.prepare(photograph)
  }
  for name in FORMATS:
    for directory, part in ((raw, 'network'), (with_nms, 'network and NMS')):
      contract = contract_lib.read(directory)
      artefact = contract.artefact(name)
      run = runtimes.load(directory, artefact)
      if part != 'network' and not artefact.has_nms:
        suppress = suppression.Suppression(directory, contract, artefact)
        jobs[name, part] = lambda run=run, end=suppress: end(run(batch))
      else:
        jobs[name, part] = lambda run=run: run(batch)
  return jobs


def measure(rounds: int) -> bench_timing.Seconds:
  """Returns seconds of every round by job."""
  with tempfile.TemporaryDirectory() as directory:
    checkpoint_dir, with_nms, raw = (
      os.path.join(directory, name) for name in ('checkpoint', 'nms', 'raw')
    )
    os.mkdir(checkpoint_dir)
    _write_checkpoint(checkpoint_dir)
    _export(checkpoint_dir, with_nms, '')
    _export(checkpoint_dir, raw, _RAW)
    jobs = _jobs(with_nms, raw)
    return bench_timing.in_turn(jobs, rounds)


def main(argv):
  del argv
  program.quieten_tensorflow()
  seconds = measure(FLAGS.rounds)
  before = 1e3 * np.median(seconds['preprocessing'])
  print(
    '{:14}{:>14}{:>10}{:>8}{:>10}{:>8}'.format(
      'ms an image', 'preprocessing', 'network', 'NMS', 'median', '90 %'
    )
  )
  medians = {}
  for name in FORMATS:
    network = 1e3 * np.array(seconds[name, 'network'])
    both = 1e3 * np.array(seconds[name, 'network and NMS'])
    whole = both + 1e3 * np.array(seconds['preprocessing'])
    medians[name] = np.median(whole)
    print(
      '{:14}{:14.1f}{:10.1f}{:8.1f}{:10.1f}{:8.1f}'.format(
        name,
        before,
        np.median(network),
        np.median(both - network),
        medians[name],
        np.percentile(whole, 90),
      )
    )
  fastest = min(medians, key=medians.get)
  print(
    'fastest: {}; {}'.format(
      fastest,
      ', '.join(
        '{} {:.2f} times its time'.format(name, value / medians[fastest])
        for name, value in medians.items()
        if name != fastest
      ),
    )
  )


if __name__ == '__main__':
  program.run(main)
