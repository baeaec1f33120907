"""Conversion of an annotated set into the files of one split."""

import os
from typing import Any, Dict, List, Optional

import rich
import rich.table
import tensorflow.compat.v1 as tf

from tools.record_sources import (
  annotations,
  detection_records,
  record_kind,
  writer,
)
from tools.record_sources import report as report_lib
from utils import errors, files, label_map

# Classes that a message lists.
_NUM_SHOWN = 4


def convert(
  annotated: annotations.AnnotatedSet,
  report: report_lib.Report,
  output_dir: str,
  name: str,
  num_shards: int,
  overwrite: bool = False,
  kind: Optional[record_kind.RecordKind] = None,
) -> writer.WrittenSet:
  """Writes NAME's shards, NAME.json, NAME_report.json and label_map.txt.

  Args:
    annotated: images, boxes and classes.
    report: what reading them found; receives what writing them finds.
    output_dir: folder to write to; made if needed.
    name: of the split.
    num_shards: number of TFRecord files.
    overwrite: whether the files of an earlier run may be replaced.
    kind: what records hold; by default images with their boxes.

  Returns:
    What was written.

  Raises:
    errors.DataError: there is nothing to write, or it would replace something.
  """
  if not annotated.images:
    raise errors.DataError(
      'There is no image that can be used. ' + report.summary()
    )
  if min(annotated.label_map, default=0) < 1:
    raise errors.DataError(
      f'The classes are {errors.shown(annotated.label_map)}: there has to be '
      'one, and ids start at 1, since 0 is the background. Give ids with '
      '--label_map.'
    )
  prefix = os.path.join(output_dir, name)
  label_map_file = os.path.join(output_dir, 'label_map.txt')
  earlier = _earlier_shards(prefix, overwrite)
  splits = tf.io.gfile.glob(os.path.join(output_dir, '*-of-?????.tfrecord'))
  if tf.io.gfile.exists(label_map_file) and (
    set(splits) - set(earlier) or not overwrite
  ):
    _check_same_classes(label_map_file, annotated.label_map)

  written = writer.write_records(
    annotated,
    prefix,
    num_shards,
    report,
    kind or detection_records.DetectionRecords(),
  )
  # Shards of another count would be read together with the new ones.
  for path in set(earlier) - set(written.shard_files):
    tf.io.gfile.remove(path)
  label_map.write_label_map(label_map_file, annotated.label_map)
  files.write_json(prefix + '.json', written.coco)
  content = {
    'images': len(written.coco['images']),
    written.counted: len(written.coco['annotations']),
    written.counted + '_by_class': count_by_class(written.coco),
    'shards': [os.path.basename(path) for path in written.shard_files],
    'findings': report.as_dict(),
  }
  files.write_json(prefix + '_report.json', content, indent=2)
  return written


def _earlier_shards(prefix: str, overwrite: bool) -> List[str]:
  """Makes the folder; returns the shards that may be replaced in it."""
  try:
    tf.io.gfile.makedirs(os.path.dirname(prefix))
  except tf.errors.OpError as error:
    raise errors.DataError(
      f'{os.path.dirname(prefix)}: the output folder cannot be made: {error}'
    ) from error
  earlier = tf.io.gfile.glob(prefix + '-?????-of-?????.tfrecord')
  if earlier and not overwrite:
    raise errors.DataError(
      f'{prefix}-*.tfrecord: {len(earlier)} shards are there already. Give '
      'another --name or --output_dir, or --overwrite.'
    )
  return earlier


def count_by_class(content: Dict[str, Any]) -> Dict[str, int]:
  """Returns the number of annotations of each class name of a COCO dict."""
  names = {entry['id']: entry['name'] for entry in content['categories']}
  counts = dict.fromkeys(names.values(), 0)
  for annotation in content['annotations']:
    counts[names[annotation['category_id']]] += 1
  return counts


def print_summary(
  written: writer.WrittenSet, report: report_lib.Report
) -> None:
  """Prints counts per class, the findings and what to put into the config."""
  counts = count_by_class(written.coco)
  counted = written.counted
  title = f'{counted.title()} written'
  table = rich.table.Table('id', 'class', counted, title=title)
  for category in written.coco['categories']:
    name = category['name']
    table.add_row(str(category['id']), name, str(counts[name]))
  rich.print(table)
  if report.as_dict():
    rich.print(report.as_table())
  print(
    '{} images{} in {} files, {} to {}'.format(
      len(written.coco['images']),
      f' with {len(written.coco["annotations"])} boxes'
      if counted == 'boxes'
      else '',
      len(written.shard_files),
      written.shard_files[0],
      os.path.basename(written.shard_files[-1]),
    )
  )
  print(
    'architecture.num_classes is {} for this label map.'.format(
      1 + max(category['id'] for category in written.coco['categories'])
    )
  )


def _check_same_classes(label_map_file: str, names: Dict[int, str]) -> None:
  """Raises DataError if records of other splits would mean other classes."""
  present = label_map.read_label_map(label_map_file)
  if present != names:
    raise errors.DataError(
      f'{label_map_file} is of other classes: it has '
      f'{_shown(present, names)}, this split has {_shown(names, present)}. '
      'Records of other splits refer to it, so give all splits the same '
      '--label_map, or this one another --output_dir.'
    )


def _shown(names: Dict[int, str], others: Dict[int, str]) -> str:
  """Lists the first few classes that `others` does not have."""
  own = [
    '{}:{}'.format(*item) for item in sorted(names.items() - others.items())
  ]
  shown = ', '.join(own[:_NUM_SHOWN]) or 'fewer'
  return shown + (', ...' if len(own) > _NUM_SHOWN else '')
