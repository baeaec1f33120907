"""Checks TFRecords before a run does.

  python tools/check_records.py --file_pattern='data/train-*' --num_classes=91

reads every record, decodes every image, and prints what cannot be used: as
records of objects, with or without masks, or of a class for each image, as the
first one is. A set
without a box, or with boxes that are too small to be meant, is a problem, too.
Exit code: 0, or 1 if there is any problem.
"""

import sys
from typing import List

from absl import flags

from utils import program

FLAGS = flags.FLAGS

flags.DEFINE_string(
  'file_pattern', None, 'Glob, or comma-separated files and globs.'
)
flags.DEFINE_integer(
  'num_classes', None, 'architecture.num_classes: classes plus background.', 2
)
flags.DEFINE_bool('decode_images', True, 'Also decode every image.')
flags.DEFINE_integer('max_rows', 50, 'Problems to print at most.', 1)
flags.mark_flags_as_required(['file_pattern', 'num_classes'])


def main(argv: List[str]) -> None:
  del argv  # Unused.
  # Imports TensorFlow, which is quiet only if logging is set up before.
  program.quieten_tensorflow()
  from dataloader import (
    record_check,
    record_contents,
    record_files,
    whole_set,
  )

  files = record_files.find_files(FLAGS.file_pattern, '--file_pattern')
  whole = whole_set.Records()
  contents, *_ = [*record_check.contents_of(files), record_contents.OBJECTS]
  checker = record_check.RecordChecker(
    FLAGS.num_classes, FLAGS.decode_images, whole.add, contents
  )
  problems = list(checker.problems(files))
  for problem in problems[: FLAGS.max_rows]:
    print(problem)
  if len(problems) > FLAGS.max_rows:
    print(f'... and {len(problems) - FLAGS.max_rows} more')
  has_objects = contents.label == record_contents.OBJECTS.label
  objection = has_objects and whole.objection()
  if objection:
    print('All records: ' + objection)
  if whole.num_turned:
    print(
      f'Note: EXIF turns {whole.num_turned} JPEG images, such as that of '
      f"source id '{whole.turned_id}'; training does not. If their boxes are "
      'of the upright images, write the records again.'
    )
  num_problems = len(problems) + bool(objection)
  print(
    f'{len(files)} files, {checker.num_records} records read, {num_problems} '
    'problems'
  )
  if num_problems:
    sys.exit(1)


if __name__ == '__main__':
  program.run(main)
