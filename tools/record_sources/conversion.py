"""Conversion of annotated sets into the files of their splits."""

import os
from typing import Any, Dict, List, Optional

import rich
import rich.table
import tensorflow.compat.v1 as tf

from dataloader import record_files
from tools.record_sources import (
  annotations,
  detection_records,
  record_kind,
  unfinished_set,
  writer,
)
from tools.record_sources import report as report_lib
from utils import errors, files, label_map, numerals

# Classes that a message lists.
_NUM_SHOWN = 4


def convert(
  splits: Dict[str, annotations.AnnotatedSet],
  report: report_lib.Report,
  output_dir: str,
  num_shards: int,
  overwrite: bool = False,
  kind: Optional[record_kind.RecordKind] = None,
) -> Dict[str, writer.WrittenSet]:
  """Writes NAME's shards, NAME.json, NAME_report.json and label_map.txt.

  Args:
    splits: images, boxes and classes by NAME; all have the same classes.
    report: what reading them found; receives what writing them finds.
    output_dir: folder to write to; made if needed.
    num_shards: number of TFRecord files of each split.
    overwrite: whether the files of an earlier run may be replaced.
    kind: what records hold; by default images with their boxes.

  Returns:
    What was written, by name.

  Raises:
    errors.DataError: there is nothing to write, or it would replace something.
  """
  kind = kind or detection_records.DetectionRecords()
  names = next(iter(splits.values())).label_map
  _check_something(splits, names, report, kind.least_id)
  earlier, present = [], []
  if tf.io.gfile.exists(output_dir):
    for name in splits:
      earlier += _earlier_shards(os.path.join(output_dir, name), overwrite)
    present = tf.io.gfile.glob(os.path.join(output_dir, '*-of-?????.tfrecord'))
  label_map_file = os.path.join(output_dir, 'label_map.txt')
  if tf.io.gfile.exists(label_map_file) and (
    set(present) - set(earlier) or not overwrite
  ):
    _check_same_classes(label_map_file, names)

  written = {}
  reports = report.divided(
    [{image.file_name for image in part.images} for part in splits.values()]
  )
  # Shards of another count would be read together with the new ones.
  with unfinished_set.hidden_folder(
    output_dir, list(splits), superseded=earlier
  ) as hidden:
    for (name, part), own_report in zip(splits.items(), reports):
      own = writer.write_records(
        part,
        os.path.join(hidden, name),
        num_shards,
        own_report,
        kind,
      )
      report.extend(own_report)
      _write_contents(os.path.join(hidden, name), own, own_report)
      shard_files = [
        os.path.join(output_dir, os.path.basename(path))
        for path in own.shard_files
      ]
      written[name] = own._replace(shard_files=shard_files)
    label_map.write_label_map(os.path.join(hidden, 'label_map.txt'), names)
  return written


def _check_something(
  splits: Dict[str, annotations.AnnotatedSet],
  names: Dict[int, str],
  report: report_lib.Report,
  least_id: int,
) -> None:
  if not any(part.images for part in splits.values()):
    raise errors.DataError(
      'There is no image that can be used. ' + report.summary()
    )
  if not names or min(names) < least_id:
    raise errors.DataError(
      f'The classes are {errors.shown(names)}: there has to be one, and ids '
      'start at 1, since 0 is the background: add one to each of --label_map.'
    )
  found = {
    box.class_name
    for part in splits.values()
    for image in part.images
    for box in image.boxes
  }
  if found and not found & set(names.values()):
    numbers = {numerals.integer(name) for name in found}
    why = 'Write the names of the one into the other.'
    if None not in numbers:
      why = 'Classes are found by name, not by id: write names in place of ids.'
      if min(numbers) == 0:
        why += ' Ids that count from 0 are those of --label_map less one.'
    raise errors.DataError(
      f'No class of the annotations, {errors.shown(sorted(found))}, is in '
      f'--label_map, {errors.shown(names)}. {why}'
    )


def _write_contents(
  prefix: str, written: writer.WrittenSet, report: report_lib.Report
) -> None:
  """Writes PREFIX.json and PREFIX_report.json."""
  files.write_json(prefix + '.json', written.coco)
  content = {
    written.counted: len(written.coco['annotations']),
    # Last: what is counted by class may be images, of several classes.
    'images': len(written.coco['images']),
    written.counted + '_by_class': count_by_class(written.coco),
    'shards': [os.path.basename(path) for path in written.shard_files],
    'findings': report.as_dict(),
  }
  files.write_json(prefix + '_report.json', content, indent=2)


def _earlier_shards(prefix: str, overwrite: bool) -> List[str]:
  """Returns the shards that may be replaced."""
  earlier = tf.io.gfile.glob(prefix + '-?????-of-?????.tfrecord')
  marker = record_files.unfinished_marker(prefix)
  if earlier and not overwrite and not tf.io.gfile.exists(marker):
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
  written: Dict[str, writer.WrittenSet], report: report_lib.Report
) -> None:
  """Prints counts per class, the findings and what to put into the config.

  Args:
    written: of `convert`.
    report: of all splits.
  """
  first = next(iter(written.values()))
  counted, categories = first.counted, first.coco['categories']
  counts = {name: count_by_class(part.coco) for name, part in written.items()}
  columns = list(written) if len(written) > 1 else [counted]
  title = f'{counted.title()} written'
  table = rich.table.Table('id', 'class', *columns, title=title)
  for category in categories:
    name = category['name']
    cells = [str(by_class[name]) for by_class in counts.values()]
    table.add_row(str(category['id']), name, *cells)
  rich.print(table)
  if report.as_dict():
    rich.print(report.as_table())
  for part in written.values():
    print(
      '{} images{} in {} files, {} to {}'.format(
        len(part.coco['images']),
        f' with {len(part.coco["annotations"])} boxes'
        if counted == 'boxes'
        else '',
        len(part.shard_files),
        part.shard_files[0],
        os.path.basename(part.shard_files[-1]),
      )
    )
  print(
    'architecture.num_classes is {} for this label map.'.format(
      1 + max(category['id'] for category in categories)
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
