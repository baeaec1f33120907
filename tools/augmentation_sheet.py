"""Samples of the augmentation of a config, and a picture of them."""

import itertools
import math
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image, ImageDraw

from configs import factory
from dataloader import (
  object_list,
  parser_generator,
  record_contents,
  record_files,
  record_index,
)
from ops import box_ops, image_decoding, instance_masks, preprocess_ops
from utils import drawing, errors, fonts, mask_utils, mode_keys

_MARGIN = 8
_HEADER = 18
# Side of the masks of an image as stored.
_MASK_SIZE = 112


class Picture(NamedTuple):
  """An image with its boxes.

  Attributes:
    pixels: uint8 [height, width, 3].
    boxes: float32 [n, 4], in pixels of this image; [0, 4] if the class is that
      of the whole image.
    classes: int32 [n], or [1].
    masks: float32 [n, m, m] within the boxes; [0, m, m] if there are none. Of
      pixels with classes [1, height, width], these, -1 where none counts.
  """

  pixels: np.ndarray
  boxes: np.ndarray
  classes: np.ndarray
  masks: np.ndarray


class Row(NamedTuple):
  """An image as stored, and samples of what training sees of it."""

  source_id: str
  original: Picture
  samples: List[Picture]


def sample_rows(
  files: Sequence[str], params: Any, num_images: int, num_samples: int
) -> List[Row]:
  """Augments images of TFRecords, which are taken at random.

  Args:
    files: TFRecord files.
    params: the whole config; with `train.seed` images and samples are the same
      each time.
    num_images: rows at most.
    num_samples: samples of each image.

  Raises:
    DataError: a record cannot be used, or there is none.
  """
  random = np.random.RandomState(params.train.seed)
  try:
    records = _random_records(files, num_images, random)
    others = itertools.cycle(
      _second_records(files, params, num_images * num_samples, random)
    )
    with tf.Graph().as_default(), tf.Session() as session:
      record, other = (tf.placeholder(tf.string, []) for _ in range(2))
      parser = parser_generator.parser_generator(params, mode_keys.TRAIN)
      draws = tf.placeholder(tf.float32, [2, parser.num_draws])
      data = parser.decode(parser.parse_record(record))
      second = ()
      if parser.takes_second_record:
        second = (parser.decode(parser.parse_record(other)), draws[1])
      element = parser.process(data, draws[0], *second)
      if parser.contents == record_contents.IMAGE_CLASS:
        original = _classified(
          image_decoding.decode_image(data['encoded']), data
        )
        sample = _classified(_pixels(element), element)
      elif parser.contents.label == record_contents.CLASS_MAP_FEATURE:
        ignored = factory.parser_settings(params).ignore_label
        original = _mapped(data['image'], data['label'], ignored)
        sample = _mapped(_pixels(element), element['label'], ignored)
      else:
        settings = factory.parser_settings(params)
        skips_crowd = settings.skip_crowd_during_training
        original = _original(data, skips_crowd, parser)
        sample = _sample(element, parser)
      rows = []
      for value in records:
        source_id, picture = session.run(
          [data['source_id'], original], {record: value}
        )
        samples = [
          session.run(
            sample,
            {
              record: value,
              other: next(others, b''),
              draws: random.random_sample(draws.shape),
            },
          )
          for _ in range(num_samples)
        ]
        rows.append(Row(source_id.decode('utf-8', 'replace'), picture, samples))
  except (tf.errors.InvalidArgumentError, tf.errors.DataLossError) as error:
    raise errors.DataError(
      'A record cannot be used; python tools/check_records.py finds out which '
      f'and why. ({error.message.splitlines()[0]})'
    ) from error
  if not rows:
    raise errors.DataError(
      "There is no record in '{}'.".format("', '".join(files))
    )
  return rows


def draw(
  rows: Sequence[Row],
  tile_size: int,
  label_map: Optional[Dict[int, str]] = None,
) -> Image.Image:
  """Draws a contact sheet: a row for each image, the original first.

  Without samples, images stand side by side, too.

  Args:
    rows: at least one.
    tile_size: longer side of each picture, in pixels.
    label_map: names to write beside the boxes; None: boxes only.
  """
  lines = [
    [
      (f'original, id {row.source_id}', row.original),
      *((f'sample {i + 1}', x) for i, x in enumerate(row.samples)),
    ]
    for row in rows
  ]
  if not rows[0].samples:
    side = math.ceil(math.sqrt(len(rows)))
    originals = [(f'id {row.source_id}', row.original) for row in rows]
    lines = [originals[i : i + side] for i in range(0, len(rows), side)]
  tiles = [
    [
      (caption, _tile(picture, tile_size, label_map))
      for caption, picture in line
    ]
    for line in lines
  ]
  # Rows and columns are as large as what is in them.
  heights = [
    max(tile.height for _, tile in line) + _HEADER + _MARGIN for line in tiles
  ]
  widths = [
    max(tile.width for _, tile in filter(None, column)) + _MARGIN
    for column in itertools.zip_longest(*tiles)
  ]
  size = (sum(widths) + _MARGIN, sum(heights) + _MARGIN)
  sheet = Image.new('RGB', size, 'white')
  canvas = ImageDraw.Draw(sheet)
  y = _MARGIN
  for line, height in zip(tiles, heights):
    x = _MARGIN
    for (caption, tile), width in zip(line, widths):
      font = fonts.load(12, caption)
      while len(caption) > 4 and font.getlength(caption) > width - _MARGIN:
        caption = caption[:-4] + '...'
      canvas.text((x, y), caption, font=font, fill='black')
      sheet.paste(tile, (x, y + _HEADER))
      x += width
    y += height
  return sheet


def _random_records(
  files: Sequence[str], count: int, random: np.random.RandomState
) -> List[bytes]:
  """Records of no more files than that, since reading up to one takes time."""
  some = [files[i] for i in random.permutation(len(files))[:count]]
  counts = record_index.count_records(some, is_strict=False)
  chosen = random.permutation(sum(counts))[:count]
  records = []
  for file_name, first, size in zip(some, np.cumsum([0, *counts]), counts):
    wanted = {i - first for i in chosen if first <= i < first + size}
    head = itertools.islice(
      tf.io.tf_record_iterator(file_name), max(wanted, default=-1) + 1
    )
    records += [record for i, record in enumerate(head) if i in wanted]
  return records


def _second_records(
  files: Sequence[str],
  params: Any,
  count: int,
  random: np.random.RandomState,
) -> List[bytes]:
  """Records to paste from, if the config pastes."""
  if not params.architecture.pre_parser:
    return []
  pattern = params.train.pre_parser_dataset.file_pattern
  if pattern:
    files = record_files.find_files(pattern)
  return _random_records(files, count, random)


def _original(data: Dict[str, Any], skips_crowd: bool, parser: Any) -> Picture:
  size = tf.cast(tf.shape(data['image'])[tf.newaxis, :2], tf.float32)
  boxes = box_ops.denormalize_boxes(data['groundtruth_boxes'], size)
  kept = tf.ones_like(data['groundtruth_is_crowd'])
  if skips_crowd:
    kept = tf.logical_not(data['groundtruth_is_crowd'])
  masks = _no_masks()
  if parser.contents == record_contents.OBJECTS_WITH_MASKS:
    (masks,) = instance_masks.crop(
      tf.boolean_mask(data['groundtruth_instance_masks_png'], kept),
      tf.boolean_mask(data['groundtruth_boxes'], kept),
      tf.tile(size, [tf.math.count_nonzero(kept), 1]),
      [_MASK_SIZE],
    )
  return Picture(
    data['image'],
    tf.boolean_mask(boxes, kept),
    tf.boolean_mask(data['groundtruth_classes'], kept),
    masks,
  )


def _sample(element: Dict[str, Any], parser: Any) -> Picture:
  """The image that the model sees, from what the parser makes of records."""
  batch = object_list.one_image(element)
  boxes, objects = parser.learned(batch)
  masks = _no_masks()
  if parser.contents == record_contents.OBJECTS_WITH_MASKS:
    masks = parser.masks(boxes, objects, batch)
  most = parser.max_objects
  return Picture(
    _pixels(element), boxes[:most], objects.classes[:most], masks[:most]
  )


def _classified(pixels: tf.Tensor, data: Dict[str, Any]) -> Picture:
  return Picture(
    pixels, tf.zeros([0, 4]), data['class'][tf.newaxis], _no_masks()
  )


def _mapped(pixels: tf.Tensor, label: tf.Tensor, ignored: int) -> Picture:
  classes = tf.cast(label[tf.newaxis, ..., 0], tf.float32)
  no_class = tf.fill(tf.shape(classes), -1.0)
  classes = tf.where(tf.equal(classes, ignored), no_class, classes)
  return Picture(pixels, tf.zeros([0, 4]), tf.zeros([0]), classes)


def _no_masks() -> tf.Tensor:
  return tf.zeros([0, 1, 1])


def _pixels(element: Dict[str, Any]) -> tf.Tensor:
  image = tf.cast(element['image'], tf.float32)
  image = image * preprocess_ops.STDDEV_RGB + preprocess_ops.MEAN_RGB
  image = tf.clip_by_value(tf.round(image * 255.0), 0.0, 255.0)
  return tf.cast(image, tf.uint8)


def _tile(
  picture: Picture, tile_size: int, label_map: Optional[Dict[int, str]]
) -> Image.Image:
  height, width = picture.pixels.shape[:2]
  scale = tile_size / max(height, width)
  tile = Image.fromarray(picture.pixels).resize(
    (max(round(width * scale), 1), max(round(height * scale), 1)),
    Image.LANCZOS,
  )
  if len(picture.masks) > len(picture.boxes):
    class_map = Image.fromarray(picture.masks[0]).resize(
      tile.size, Image.NEAREST
    )
    return drawing.draw_class_map(tile, np.asarray(class_map), label_map)
  boxes, masks = picture.boxes * scale, None
  if len(picture.masks):
    xywh = np.concatenate([boxes[:, 1::-1], boxes[:, :1:-1]], axis=1)
    xywh[:, 2:] -= xywh[:, :2]
    masks = mask_utils.paste_windows(
      picture.masks, xywh, tile.height, tile.width
    )
  return drawing.draw_detections(
    tile,
    boxes if len(boxes) else None,
    picture.classes,
    masks=masks,
    label_map=label_map,
    has_labels=label_map is not None,
  )
