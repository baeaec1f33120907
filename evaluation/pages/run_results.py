"""What a report is made from: results of a run and what is known of it."""

import itertools
import json
import logging
import os
from typing import Any, Dict, List, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from configs import factory, params_dict, resolver
from evaluation import (
  annotation_file,
  detection_file,
  record_annotations,
  report,
)
from utils import errors, files, label_map

_log = logging.getLogger(__name__)

# What reading a file raises that anyone may have written.
_NOT_OF_A_RUN = (
  errors.UserError,
  AttributeError,
  LookupError,
  TypeError,
  ValueError,
)


class Results(NamedTuple):
  """Predictions of a run, and the groundtruth.

  Attributes:
    title: names the run.
    predictions: detections in COCO's result format with compressed run
      lengths, or what `ClassificationEvaluator` writes.
    annotations: groundtruth in COCO's format; None of classes of images.
    names: of classes of images by id.
    images: folder or pattern of TFRecords; None: no pictures.
    params: the whole config, if known.
    model_dir: of the run, or ''.
  """

  title: str
  predictions: List[Dict[str, Any]]
  annotations: Optional[Dict[str, Any]] = None
  names: Dict[int, str] = {}
  images: Optional[str] = None
  params: Optional[Any] = None
  model_dir: str = ''

  @property
  def directory(self) -> str:
    """Where the evaluations of the run are."""
    suffix = self.params.eval.suffix if self.params else ''
    return os.path.join(self.model_dir, 'eval' + (suffix or ''))

  @property
  def regenerate_source_id(self) -> bool:
    """Whether ids are hashes of the images."""
    return bool(self.params) and factory.parser_settings(
      self.params
    ).as_dict().get('regenerate_source_id', False)


def of_model_dir(model_dir: str, params: Optional[Any] = None) -> Results:
  """Reads the last evaluation of a run.

  Args:
    model_dir: of the run.
    params: the whole config; by default that of `params.yaml`.

  Raises:
    errors.UserError: there is no evaluation.
    errors.DataError: they, or the groundtruth, cannot be read.
  """
  if params is None:
    params = resolver.resolve(
      config_file=os.path.join(model_dir, resolver.FILE_NAME)
    ).params
  results = Results('', [], params=params, model_dir=model_dir)
  path = os.path.join(results.directory, 'predictions.json')
  if not tf.io.gfile.exists(path):
    raise errors.UserError(
      f"'{path}' is absent. Evaluate the run first (main.py --mode=eval)."
    )
  predictions = detection_file.read_rows(path)
  settings = params.eval
  names = {}
  if settings.label_map_file and tf.io.gfile.exists(settings.label_map_file):
    names = label_map.read_label_map(settings.label_map_file)
  history = report.read_history(results.directory)
  step = f', step {history[-1]["step"]:,}' if history else ''
  return results._replace(
    title=os.path.basename(os.path.normpath(model_dir)) + step,
    predictions=predictions,
    annotations=_groundtruth(results, predictions, names),
    names=names,
    images=settings.eval_file_pattern,
  )


def _groundtruth(results, predictions, names) -> Optional[Dict[str, Any]]:
  """What the evaluator had, of the images that it evaluated."""
  settings = results.params.eval
  if 'predicted' in predictions[0]:
    return None
  has_masks = settings.type.endswith('box_and_mask')
  if settings.use_json_file or has_masks:
    content = annotation_file.load_annotations(
      os.path.join(results.model_dir, annotation_file.FILE_NAME), has_masks
    )
  else:
    content = record_annotations.read_first(
      settings.eval_file_pattern,
      settings.eval_samples,
      results.regenerate_source_id,
    )
    limit = factory.parser_settings(results.params).max_num_instances
    # Labels have room for the first ones of an image.
    content['annotations'] = [
      row
      for _, of_image in itertools.groupby(
        content['annotations'], key=lambda row: row['image_id']
      )
      for row in itertools.islice(of_image, limit)
    ]
  evaluated = {row['image_id'] for row in predictions}
  for key, name in (('images', 'id'), ('annotations', 'image_id')):
    content[key] = [row for row in content[key] if row[name] in evaluated]
  for entry in content['categories']:
    entry['name'] = names.get(entry['id'], entry.get('name'))
  return content


def facts(results: Results) -> Dict[str, Any]:
  """What a reader wants to know of a run, as far as its directory says.

  Returns:
    changes: [(key, value, default)] of what differs from the model's defaults;
    starts: lines of `history.jsonl` of starts; evaluations: of the history;
    statistics: of the model; dataset: content of `dataset.json`.
  """
  found: Dict[str, Any] = {'changes': [], 'starts': [], 'evaluations': []}
  found['statistics'], found['dataset'] = {}, {}
  if results.params:
    found['changes'] = _changes(results.params)
  directory = results.model_dir
  if not directory:
    return found
  found['evaluations'] = report.read_history(results.directory)
  records = os.path.dirname(results.images or '')
  readers = (
    ('starts', directory, 'history.jsonl', _starts),
    ('statistics', directory, 'train_model_stats.json', _statistics),
    # tools/check_dataset.py writes it beside the run, or beside the records.
    ('dataset', records, 'dataset.json', _dataset),
    ('dataset', directory, 'dataset.json', _dataset),
  )
  for key, place, name, parse in readers:
    path = os.path.join(place, name)
    if not tf.io.gfile.exists(path):
      continue
    try:
      found[key] = parse(files.read_text(path))
    except _NOT_OF_A_RUN as error:
      what = "'%s' is damaged or of something else, and is left out (%r)."
      _log.warning(what, path, error)
  return found


def _starts(text: str) -> List[Dict[str, Any]]:
  entries = map(json.loads, text.splitlines())
  told = 'time', 'step', 'host', 'versions', 'revision', 'command'
  return [
    {key: entry[key] for key in told}
    for entry in entries
    if entry.get('event') == 'start'
  ]


def _statistics(text: str) -> Dict[str, float]:
  return {key: float(value) for key, value in dict(json.loads(text)).items()}


def _dataset(text: str) -> Dict[str, Any]:
  """What a page shows of it."""
  content = json.loads(text)
  counts = 'images', 'objects', 'images_without_objects'
  told = 'set', 'title', 'count', 'remedy'
  return {
    'sets': {
      name: {
        key: int(part[key]) for key in counts if key in part or key == 'images'
      }
      for name, part in dict(content['sets']).items()
    },
    'findings': [
      {key: found[key] for key in told} for found in content['findings']
    ],
  }


def _changes(params: Any) -> List[Any]:
  defaults = factory.config_generator(params.type)
  saved = params_dict.ParamsDict(resolver.saved_params(params))
  return [
    (key, value, defaults.lookup(key))
    for key, value in saved.leaves()
    if value != defaults.lookup(key)
  ]
