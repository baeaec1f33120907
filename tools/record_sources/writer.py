"""Writes annotated images as sharded TFRecords and as a COCO dict."""

import os
from typing import Any, Dict, List, NamedTuple, Tuple

import tqdm

from tools.record_sources import (
  annotations,
  images,
  record_kind,
  shards,
  written_set,
)
from tools.record_sources import report as report_lib


class WrittenSet(NamedTuple):
  """The files of one split.

  Attributes:
    shard_files: TFRecord files.
    coco: the same as a COCO dict; classes of whole images stand there as
      annotations without a box.
    counted: what its annotations are: boxes or images.
  """

  shard_files: List[str]
  coco: Dict[str, Any]
  counted: str


def write_records(
  annotated: annotations.AnnotatedSet,
  output_prefix: str,
  num_shards: int,
  report: report_lib.Report,
  kind: record_kind.RecordKind,
) -> WrittenSet:
  """Writes the images as PREFIX-00000-of-0000N.tfrecord.

  Args:
    annotated: what to write.
    output_prefix: path and name of the shards.
    num_shards: the number of files; fewer if there are fewer images.
    report: receives what could not be written as it was annotated.
    kind: what the records hold.

  Raises:
    errors.DataError: what was annotated cannot have been meant so.
  """
  class_ids = {name: number for number, name in annotated.label_map.items()}
  coco = {
    'images': [],
    'annotations': [],
    'categories': [
      {'id': number, 'name': name}
      for number, name in sorted(annotated.label_map.items())
    ],
  }
  decoder = images.shared_decoder()

  def make_entries(
    few: List[annotations.AnnotatedImage],
  ) -> Tuple[int, List[record_kind.Entry], report_lib.Report]:
    findings = report_lib.Report()
    entries = [
      entry
      for image, encoded in images.read_images(few, decoder, findings)
      for entry in kind.entries(image, encoded, class_ids, findings)
    ]
    return len(few), entries, findings

  name = os.path.basename(output_prefix)
  with shards.ShardedWriter(output_prefix, num_shards) as writer, tqdm.tqdm(
    total=len(annotated.images), desc=name, unit='image', disable=None
  ) as progress:
    for count, entries, findings in images.work_ahead(
      make_entries, kind.in_order(annotated.images)
    ):
      report.extend(findings)
      for entry in entries:
        entry = kind.numbered(entry, len(coco['images']) + 1)
        # Features have no order of their own.
        writer.write(entry.example.SerializeToString(deterministic=True))
        _add_to_coco(coco, entry)
      progress.update(count)
    written_set.check(coco, report, kind)
  return WrittenSet(writer.file_names, coco, kind.counted)


def _add_to_coco(coco: Dict[str, Any], entry: record_kind.Entry) -> None:
  coco['images'].append(entry.image)
  for annotation in entry.annotations:
    ids = {
      'id': len(coco['annotations']) + 1,
      'image_id': entry.image['id'],
    }
    coco['annotations'].append({**ids, **annotation})
