"""One image through the formats of an export, and servers of two of them.

91 classes, random weights with spread scores and with the statistics of a
batch, as a trained network has them: without, values vanish or grow from layer
to layer, and no integers fit. int8 is calibrated with the benchmark's images.
Every format takes a normalised float tensor and ends with NMS, which for TFLite
is the project's own. Servers get a photograph from several clients at once, by
turns.
"""

import contextlib
import functools
import os
import re
import subprocess
import sys
import tempfile
import threading
from concurrent import futures
from typing import Any, Iterator
from urllib import request

import numpy as np
import tensorflow.compat.v1 as tf

from configs import resolver
from dataloader import input_reader, record_files
from modeling import factory as model_factory
from serving import contract as contract_lib
from serving.export import export
from serving.predictors import runtimes, suppression
from tools.bench import network, turns
from utils import mode_keys

_ROUNDS, _SIZE = 15, 640
_FORMATS = (('saved_model', ''), ('onnx', ''), ('onnx', 'int8'), ('tflite', ''))
_CONFIGS = {
  'R50-FPN': '',
  'SpineNet-49S': 'configs/spinenet/spinenet49S_retinanet.yaml',
}
# Of class logits.
_LOGIT_DEVIATION = 0.4
_NUM_CALIBRATED, _CLIENTS, _REQUESTS = 16, 8, 16


@contextlib.contextmanager
def _exported(
  config: str, options: Any, formats: Any, **flags: Any
) -> Iterator[str]:
  """Yields an export directory of random weights."""
  size = options.size or _SIZE
  # A momentum of 0 makes the statistics those of the last batch.
  blocks = {
    'architecture': {'num_classes': 91},
    'batch_norm_activation': {'batch_norm_momentum': 0.0},
    'train': {'train_file_pattern': options.file_pattern},
  }
  params = resolver.resolve(
    config_file=config and os.path.join(turns.ROOT, config),
    params_override=turns.override(size, options.depth, **blocks),
    flags={'use_tpu': False},
  ).params
  with tempfile.TemporaryDirectory() as directory:
    with tf.Graph().as_default(), tf.Session() as session:
      tf.set_random_seed(0)
      read = input_reader.InputFn(options.file_pattern, params, mode_keys.TRAIN)
      images, labels = tf.data.make_one_shot_iterator(
        read({'batch_size': 2})
      ).get_next()
      outputs = model_factory.model_generator(params).build_outputs(
        images, labels, mode_keys.TRAIN
      )
      session.run(tf.global_variables_initializer())
      logits = list(outputs['cls_outputs'].values())
      updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
      logits, _ = session.run([logits, updates])
      # Around the prior, 0.01: some hundreds of candidates pass the threshold.
      deviation = np.mean([np.std(values) for values in logits])
      network.spread_scores(session, _LOGIT_DEVIATION / deviation)
      path = os.path.join(directory, 'model.ckpt')
      tf.train.Saver().save(session, path, write_meta_graph=False)
    resolver.save_params(params, directory)
    export_dir = os.path.join(directory, 'export')
    export.export(
      export_dir,
      path,
      export_format=formats,
      onnx_types=('float32', 'int8'),
      representative_file_pattern=options.file_pattern,
      representative_images=_NUM_CALIBRATED,
      check=False,
      **flags,
    )
    yield export_dir


def _with_nms(run, artefact, suppress, batch):
  return suppress(artefact.by_kind(run(batch)))


def _measure_formats(name: str, export_dir: str, rounds: int) -> None:
  contract = contract_lib.read(export_dir)
  shape = contract.artefact('onnx').inputs[0].shape
  batch = np.float32(np.random.RandomState(0).randn(*shape))
  jobs, sizes = {}, {}
  for variant in _FORMATS:
    artefact = contract.artefact(*variant)
    run = runtimes.load(export_dir, artefact)
    if not artefact.has_nms:
      end = suppression.Suppression(export_dir, contract, artefact)
      run = functools.partial(_with_nms, run, artefact, end)
    jobs[artefact.name] = turns.timed(lambda run=run: run(batch))
    sizes[artefact.name] = artefact.num_bytes
  results = turns.measure(jobs, rounds, warm_up=1)
  turns.print_table(
    (name, 'ms', 'of onnx'),
    (
      (job, 1e3 * results.median(job), results.ratio(job, 'onnx'))
      for job in jobs
    ),
  )
  share = sizes['onnx int8'] / sizes['onnx']
  print(
    f'bytes, int8 / onnx {share:.3f} (at most 0.3; time at most 0.45 with '
    'VNNI, 0.75 without)'
  )


@contextlib.contextmanager
def _server(export_dir: str, *flags: str) -> Iterator[str]:
  """Yields the URL of a server in a process of its own."""
  command = [sys.executable, '-W', 'ignore', 'tools/serve.py', export_dir]
  with subprocess.Popen(
    [*command, '--port=0', *flags],
    cwd=turns.ROOT,
    env=dict(os.environ, PYTHONPATH=turns.ROOT),
    stderr=subprocess.PIPE,
    universal_newlines=True,
  ) as process:
    urls = (re.search(r'http://\S+', line) for line in process.stderr)
    url = next(filter(None, urls)).group()
    # A full pipe would stop it.
    threading.Thread(target=process.stderr.read, daemon=True).start()
    yield url
    process.terminate()


def _measure_servers(export_dir: str, options: Any) -> None:
  path = record_files.find_files(options.file_pattern)[0]
  record = next(tf.python_io.tf_record_iterator(path))
  features = tf.train.Example.FromString(record).features.feature
  (picture,) = features['image/encoded'].bytes_list.value
  with _server(export_dir) as saved_model, _server(
    export_dir, '--format=onnx', '--variant=int8'
  ) as int8, futures.ThreadPoolExecutor(_CLIENTS) as clients:

    def ask(url):
      return request.urlopen(url + 'detect', picture).read()

    urls = {'saved_model': saved_model, 'onnx int8': int8}
    jobs = {
      name: turns.timed(
        lambda url=url: list(clients.map(ask, [url] * _REQUESTS))
      )
      for name, url in urls.items()
    }
    results = turns.measure(jobs, options.rounds or _ROUNDS // 3, warm_up=1)
  for name in jobs:
    print(f'server of {name}: {_REQUESTS / results.median(name):.2f} images/s')
  ratio = results.ratio('saved_model', 'onnx int8')
  print(f'server, int8 / saved_model {ratio:.2f} (at least 2)')


def measure(options: Any) -> None:
  """Prints a table of the formats for each network, and how servers compare."""
  formats = ('saved_model', 'onnx', 'tflite')
  for name, config in _CONFIGS.items():
    with _exported(
      config, options, formats, input_type='raw_image_tensor'
    ) as export_dir:
      _measure_formats(name, export_dir, options.rounds or _ROUNDS)
  with _exported(
    '', options, formats[:2], input_type='image_bytes', batch_size=-1
  ) as export_dir:
    _measure_servers(export_dir, options)
