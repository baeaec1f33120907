"""Evaluator of boxes and masks by COCO's metrics."""

import collections
import functools
import json
import logging
from typing import Any, Callable, Collection, Dict, List, Optional

import numpy as np

from configs import class_splits, factory
from dataloader import record_contents
from evaluation import annotation_file as annotation_file_lib
from evaluation import (
  batches,
  coco_metrics,
  entries,
  evaluator_registry,
  groundtruth_agreement,
)
from utils import errors, files
from utils import label_map as label_map_lib

_log = logging.getLogger(__name__)

_BOX_FIELDS = (
  'image_info',
  'num_detections',
  'detection_boxes',
  'detection_classes',
  'detection_scores',
)
_NUM_EXAMPLES = 5
_NUM_CLASSES_SHOWN = 20


class COCOEvaluator:
  """Average precision and recall as of COCO, for boxes and masks.

  Boxes are neither clipped nor rounded. Class ids are COCO category ids, with
  gaps if the data set has them. All rows of a batch take part, also those
  beyond `num_detections`: their low scores put them behind all others. They
  have no mask. With masks, small, medium and large are detections, also as
  boxes, by the area of their masks.

  Args:
    annotation_file: COCO json with the groundtruth, local or remote. None or
      '' takes the groundtruth from what `update` gets.
    include_mask: whether to score masks too, under names with `mask_` before.
    need_rescale_bboxes: whether detections are in pixels of the resized
      image; if so, they are divided by the scale in `image_info`.
    per_category_metrics: whether to report the metrics of each class too.
    backend: what matches boxes: 'faster_coco_eval' or 'pycocotools'. The
      numbers are the same, the former is many times faster.
    label_map: class names by id; takes precedence over the names in
      `annotation_file`.
    requires_all_images: whether all images of `annotation_file` have to be
      evaluated.
    mask_classes: those whose masks are scored, under names with `novel_mask_`
      before instead; None for all.

  Attributes:
    class_scores: AP of each class in the last evaluation, named as with
      per_category_metrics.

  Raises:
    errors.DataError: the annotation file cannot be used.
    errors.ConfigError: the backend is unknown.
  """

  def __init__(
    self,
    annotation_file: Optional[str],
    include_mask: bool = False,
    need_rescale_bboxes: bool = True,
    per_category_metrics: bool = False,
    backend: str = 'faster_coco_eval',
    label_map: Optional[Dict[int, str]] = None,
    requires_all_images: bool = False,
    mask_classes: Optional[Collection[int]] = None,
  ):
    coco_metrics.BACKENDS.get(backend)
    self._include_mask = include_mask
    self._need_rescale_bboxes = need_rescale_bboxes
    self._per_category_metrics = per_category_metrics
    self._backend = backend
    self._names = dict(label_map or {})
    self._requires_all_images = requires_all_images
    self._mask_classes = mask_classes
    self.class_scores: Dict[str, np.float32] = {}
    self._annotation_file = annotation_file or None
    self._annotations: Optional[Dict[str, Any]] = None
    self._known_sizes: Dict[int, List[int]] = {}  # height and width by id
    if self._annotation_file:
      self._annotations = annotation_file_lib.load_annotations(
        self._annotation_file, require_masks=include_mask
      )
      self._known_sizes = {
        image['id']: [image['height'], image['width']]
        for image in self._annotations['images']
      }
    self.reset()

  @property
  def class_names(self) -> Dict[int, str]:
    """Names of classes by id, as far as they are known."""
    return self._class_names(self._annotations or {'categories': []})

  def reset(self) -> None:
    """Forgets all detections, and groundtruth that came with them."""
    self._detections: List[np.ndarray] = []
    self._image_ids: Dict[int, None] = {}  # in the order of arrival
    self._groundtruth = batches.StreamedGroundtruth()

  def update(
    self,
    predictions: Dict[str, Any],
    groundtruths: Optional[Dict[str, Any]] = None,
  ) -> None:
    """Adds one batch.

    Args:
      predictions: source_id int [B], num_detections int [B], detection_boxes
        float [B, N, 4] (ymin, xmin, ymax, xmax in pixels), detection_classes
        int [B, N] and detection_scores float [B, N]. With masks also
        detection_masks, float [B, N, h, w], probabilities within the boxes, or
        within detection_outer_boxes, if given, in the frame of the boxes; or,
        pasted already, nested lists [B][N] of COCO's compressed RLE in the size
        of the original image, None where there is no mask. To rescale boxes and
        to paste also image_info float [B, 4, 2], whose row 0 is the
        size of the original image and row 2 the scale (y, x). Optional
        is_padding bool [B]: rows to leave out.
      groundtruths: needed unless there is an annotation file, unused
        otherwise. source_id, height, width int [B], boxes float [B, M, 4] in
        pixels of the original image and classes int [B, M]. Optional areas
        float [B, M], is_crowds [B, M], is_padding bool [B], and the true
        number of objects as num_detections or num_groundtruths, int [B] or
        [B, 1]; objects beyond M are left out, which `evaluate` warns of. With
        masks also masks, RLE as above.

    Raises:
      ValueError: a field is absent.
      errors.DataError: an image was there before, is not in the annotation
        file, has masks of another size, or detections that are not finite.
    """
    if self._annotations is None and groundtruths is None:
      raise ValueError(
        'groundtruths: needed, since there is no annotation file to take the '
        'groundtruth from.'
      )
    image_ids, detections = batches.read_detections(
      predictions, self._need_rescale_bboxes, self._include_mask
    )
    self._check_image_ids(image_ids)
    if self._annotations and self._include_mask:
      self._check_sizes(detections)
    if self._annotations is None:
      self._groundtruth.add(groundtruths, self._include_mask)
    self._detections.append(detections.ravel())
    self._image_ids.update(dict.fromkeys(image_ids))

  def evaluate(self) -> Dict[str, np.float32]:
    """Scores the images of all batches so far, then forgets them.

    Returns:
      AP, AP50, AP75, APs, APm, APl, ARmax1, ARmax10, ARmax100, ARs, ARm and
      ARl; the same with `mask_` before for masks; with per_category_metrics
      also those of `coco_metrics.CATEGORY_METRICS` and the number of objects
      of each class. A metric without samples is -1.

    Raises:
      errors.DataError: images are missing that are required.
    """
    if self._requires_all_images:
      self._check_coverage()
    groundtruth = self._annotations
    if groundtruth is None:
      groundtruth = self._groundtruth.as_coco(self._image_ids)
      self._warn_of_truncation()
    self._log_objects(groundtruth)
    self.class_scores = {}
    metrics = self._score(groundtruth, 'bbox', '')
    if self._include_mask:
      metrics.update(self._score(groundtruth, 'segm', 'mask_'))
    self.reset()
    return metrics

  def dump_predictions(self, path: str) -> None:
    """Writes the detections so far in COCO's result format.

    Args:
      path: of the JSON file, a list of objects with image_id, category_id,
        bbox (xmin, ymin, width, height in pixels of the original image),
        score and, with masks, segmentation.
    """
    # Rows of all batches at once would take many times the memory of the text.
    parts = map(_results, self._detections)
    texts = (json.dumps(part, allow_nan=False)[1:-1] for part in parts)
    files.write_text(path, '[{}]'.format(', '.join(filter(None, texts))))

  def _score(self, groundtruth, iou_type, prefix) -> Dict[str, np.float32]:
    detections = np.concatenate([entries.NOTHING, *self._detections])
    if iou_type == 'segm':
      detections = detections[detections['segmentation'].astype(bool)]
    result = coco_metrics.match(
      groundtruth,
      detections,
      self._image_ids,
      iou_type,
      self._backend,
    )
    if iou_type == 'segm' and self._mask_classes is not None:
      result = coco_metrics.of_classes(result, self._mask_classes)
      prefix = 'novel_' + prefix
    metrics = coco_metrics.coco_metrics(result)
    of_classes = coco_metrics.category_metrics(
      result, self._class_names(groundtruth)
    )
    for name, value in of_classes.items():
      if name.startswith(coco_metrics.CATEGORY_METRICS['AP']):
        self.class_scores[prefix + name] = value
    if self._per_category_metrics:
      metrics.update(of_classes)
    return {prefix + name: value for name, value in metrics.items()}

  def _log_objects(self, groundtruth) -> None:
    counts = coco_metrics.count_objects(groundtruth, self._image_ids)
    names = self._class_names(groundtruth)
    most = collections.Counter(counts).most_common(_NUM_CLASSES_SHOWN)
    _log.info(
      'Scoring %d images with %d objects: %s%s.',
      len(self._image_ids),
      sum(counts.values()),
      ', '.join(f'{n} {names.get(key, f"class {key}")}' for key, n in most),
      ', ...' if len(most) < len(counts) else '',
    )

  def _class_names(self, groundtruth) -> Dict[int, str]:
    names = {
      entry['id']: entry['name']
      for entry in groundtruth['categories']
      if entry.get('name')
    }
    names.update(self._names)
    if len(set(names.values())) < len(names):
      return {}  # Ids tell classes of the same name apart.
    return names

  def _check_image_ids(self, image_ids: List[int]) -> None:
    counts = collections.Counter(image_ids)
    repeated = [i for i in counts if counts[i] > 1 or i in self._image_ids]
    if repeated:
      raise errors.DataError(
        f'Image ids {_examples(repeated)} came more than once. Each image '
        'needs a source id of its own; regenerate_source_id of the parser '
        'makes ids from the images.'
      )
    if self._annotations is None:
      return
    # A difference of sets would go through all that are known.
    unknown = [i for i in counts if i not in self._known_sizes]
    if unknown:
      raise errors.DataError(
        f'{self._annotation_file}: {len(unknown)} evaluated images are not '
        f'among the {len(self._known_sizes)} of this file: ids '
        f'{_examples(sorted(unknown))}. Give the annotation file of the same '
        'records, or none to have it made from them.'
      )

  def _check_sizes(self, detections: np.ndarray) -> None:
    for row in detections[detections['segmentation'].astype(bool)]:
      image_id, size = row['image_id'], row['segmentation']['size']
      known = self._known_sizes[image_id]
      if size != known:
        raise errors.DataError(
          '{}: image {} has {} x {} pixels there, and {} x {} where it was '
          'evaluated; masks need the same. Give the annotations that the '
          'records were made from.'.format(
            self._annotation_file, image_id, *known[::-1], *size[::-1]
          )
        )

  def _check_coverage(self) -> None:
    missing = sorted(self._known_sizes.keys() - self._image_ids.keys())
    if missing:
      raise errors.DataError(
        f'{self._annotation_file}: {len(missing)} of its '
        f'{len(self._known_sizes)} images were not evaluated: ids '
        f'{_examples(missing)}. Make eval.eval_file_pattern and '
        'eval.val_json_file describe the same set.'
      )

  def _warn_of_truncation(self) -> None:
    truncated = self._groundtruth.num_truncated
    if truncated:
      _log.warning(
        '%d objects in %d images are left out of the groundtruth, which holds '
        'at most %d objects an image (max_num_instances), so that the metrics '
        'are off. Raise it, or set eval.use_json_file.',
        sum(truncated.values()),
        len(truncated),
        self._groundtruth.max_num_instances,
      )


def _results(detections: np.ndarray) -> List[Dict[str, Any]]:
  """Records in COCO's format for results."""
  names = 'image_id', 'category_id', 'bbox', 'score', 'segmentation'
  rows = list(entries.to_rows(detections, names))
  for row in rows:
    if not row['segmentation']:
      del row['segmentation']
  return rows


def _from_params(params: Any, include_mask: bool) -> COCOEvaluator:
  settings = params.eval
  annotations = names = None
  # Masks do not travel with the predictions.
  if settings.use_json_file or include_mask:
    parser = factory.parser_settings(params)
    annotations = annotation_file_lib.prepare(
      model_dir=params.model_dir,
      val_json_file=_val_json_file(settings),
      file_pattern=settings.eval_file_pattern,
      eval_samples=settings.eval_samples,
      regenerate_source_id=parser.regenerate_source_id,
      include_mask=include_mask,
      use_category=parser.get('use_category', True),
    )
  if settings.label_map_file:
    names = label_map_lib.read_label_map(settings.label_map_file)
  return COCOEvaluator(
    annotations,
    include_mask=include_mask,
    need_rescale_bboxes=True,
    per_category_metrics=settings.per_category_metrics,
    backend=settings.backend,
    label_map=names,
    requires_all_images=bool(annotations) and not settings.eval_samples,
    mask_classes=class_splits.SPLITS[settings.get('mask_eval_class', 'all')],
  )


def _val_json_file(settings: Any) -> Optional[str]:
  return settings.val_json_file if settings.use_json_file else None


def _check_groundtruth(params: Any, include_mask: bool = False) -> None:
  settings = params.eval
  groundtruth_agreement.check(
    settings.eval_file_pattern,
    _val_json_file(settings),
    settings.label_map_file,
    settings.eval_samples,
    factory.parser_settings(params).regenerate_source_id,
    include_mask,
  )


@evaluator_registry.register_evaluator(
  'box',
  _BOX_FIELDS,
  check=_check_groundtruth,
  streams_groundtruth=lambda params: not params.eval.use_json_file,
  metrics=tuple(coco_metrics.CATEGORY_METRICS),
)
def box_from_params(params: Any) -> COCOEvaluator:
  """The evaluator of boxes."""
  return _from_params(params, include_mask=False)


def _register_masks(name: str, *prefixes: str) -> Callable[..., Any]:
  return evaluator_registry.register_evaluator(
    name,
    (*_BOX_FIELDS, 'detection_masks'),
    check=functools.partial(_check_groundtruth, include_mask=True),
    contents=lambda params: (
      None
      if _val_json_file(params.eval)
      else record_contents.OBJECTS_WITH_MASKS
    ),
    metrics=[
      prefix + metric
      for prefix in ('', 'mask_', *prefixes)
      for metric in coco_metrics.CATEGORY_METRICS
    ],
  )


@_register_masks('shapemask_box_and_mask', 'novel_mask_')
@_register_masks('box_and_mask')
def box_and_mask_from_params(params: Any) -> COCOEvaluator:
  """The evaluator of boxes and instance masks."""
  return _from_params(params, include_mask=True)


def _examples(values: List[int]) -> str:
  shown = ', '.join(str(value) for value in values[:_NUM_EXAMPLES])
  return shown + (', ...' if len(values) > _NUM_EXAMPLES else '')
