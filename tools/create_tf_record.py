"""Turns annotations into TFRecords to train and evaluate with.

For a detector, COCO json, Pascal VOC xml, YOLO, CSV, LabelMe or Open Images,
recognised from what is there:

  python tools/create_tf_record.py --annotations=PATH --image_dir=images \\
    --output_dir=records --name=train

PATH is a file, or the folder of a data set; images are looked for there without
--image_dir. docs/data.md has a command for each source.

Add --include_masks for a model that learns masks, from polygons or run lengths
of the annotations, or from folders of pictures as microscopy sets have them:
label images (masks/IMAGE.png), or a picture for each object
(masks/IMAGE/ANYTHING.png). Without --mask_class, there is a folder of these for
each class, masks/CLASS/.

  python tools/create_tf_record.py --instance_masks_dir=masks \\
    --mask_class=nucleus --include_masks --image_dir=images \\
    --output_dir=records --name=train

For a classifier, one folder of pictures a class, or what is in the boxes of a
detector's set:

  python tools/create_tf_record.py --classification_dir=pictures/train \\
    --output_dir=records --name=train

  python tools/create_tf_record.py --coco_json=instances_train.json \\
    --image_dir=images --output_dir=crops --name=train --crop_boxes

For a model of pixels, label maps: PNGs named as their images, grey or with a
palette, whose numbers are the ids of --label_map and 0, the background.

  python tools/create_tf_record.py --segmentation_dir=labels \\
    --image_dir=images --label_map=classes.txt --output_dir=records --name=train

Each writes to output_dir

  train-00000-of-00008.tfrecord ...   train.train_file_pattern
  train.json                          eval.val_json_file; without boxes, the
                                      class of each image
  label_map.txt                       eval.label_map_file; shared by all splits
  train_report.json                   everything that was left out or changed

Where no split exists, --split makes one by shares, in which classes are alike:

  python tools/create_tf_record.py --coco_json=instances.json \\
    --image_dir=images --output_dir=records --split=0.8,0.2 --name=train,val

Exit code: 0, or 1 if the data cannot be used; with --strict also 1 if anything
had to be left out or changed.
"""

import contextlib
import os
import shlex
import sys
from typing import Any, Dict, List, Optional

from absl import flags

from utils import errors, numerals, program

FLAGS = flags.FLAGS

flags.DEFINE_string(
  'annotations',
  None,
  'Annotations to convert, whose source is recognised: a COCO json, a CSV or '
  'data.yaml, or a folder with VOC xml, YOLO labels or LabelMe json.',
)
flags.DEFINE_enum(
  'source',
  None,
  ['coco', 'voc', 'yolo', 'csv', 'labelme', 'open_images'],
  'What --annotations are, where more than one would fit.',
)
flags.DEFINE_string(
  'class_names',
  None,
  'With --annotations of Open Images: class-descriptions-boxable.csv.',
)
flags.DEFINE_string('coco_json', None, 'COCO instances file to convert.')
flags.DEFINE_string(
  'voc_annotation_dir', None, 'Folder of Pascal VOC xml files to convert.'
)
flags.DEFINE_string(
  'voc_split_file',
  None,
  'Optional: text file with one image name a line, without suffix, of the '
  'images to convert. By default all in the folder.',
)
flags.DEFINE_bool(
  'voc_one_based',
  False,
  'The xml counts pixels from 1 (the PASCAL VOC challenge does).',
)
flags.DEFINE_string(
  'image_dir',
  None,
  'Folder of the image files. With --annotations by default where the source '
  'has them.',
)
flags.DEFINE_string(
  'classification_dir',
  None,
  'Folder with one folder of pictures for each class to convert.',
)
flags.DEFINE_string(
  'segmentation_dir',
  None,
  'Folder of label maps to convert: PNGs of the class of each pixel.',
)
flags.DEFINE_integer(
  'ignore_label', 255, 'Of --segmentation_dir, what does not count.', 0, 255
)
flags.DEFINE_string(
  'instance_masks_dir',
  None,
  'Folder of instance masks to convert: label images, or folders with a '
  'picture for each object.',
)
flags.DEFINE_string(
  'mask_class',
  None,
  'With --instance_masks_dir: class of all objects. By default the folder has '
  'one folder of masks for each class.',
)
flags.DEFINE_bool(
  'include_masks',
  False,
  'Write the mask of each object; objects without one are left out.',
)
flags.DEFINE_bool(
  'crop_boxes',
  False,
  'Write what is within each box as a picture of its own, for a classifier.',
)
flags.DEFINE_float(
  'crop_margin',
  0.1,
  'With --crop_boxes: what a crop has beyond its box on each edge, as a share '
  "of the box's side.",
  0.0,
)
flags.DEFINE_string(
  'label_map',
  None,
  'File with a line id:name for each class, ids from 1. Default: the '
  'categories of the json, or the names of xml files or folders in '
  'alphabetical order.',
)
flags.DEFINE_string('output_dir', None, 'Folder to write to.')
flags.DEFINE_list(
  'name',
  None,
  'Name of the split, such as train; with --split of each. Of --annotations '
  'that have splits it is the one to convert, or all.',
)
flags.DEFINE_list(
  'split',
  None,
  'Two or three shares, such as 0.8,0.2, to split the images by. Each class is '
  'split by them, too.',
)
flags.DEFINE_integer('split_seed', 0, 'With --split: another is another split.')
flags.DEFINE_integer('num_shards', 8, 'Number of TFRecord files.', 1)
flags.DEFINE_bool('overwrite', False, 'Replace the files of an earlier run.')
flags.DEFINE_bool(
  'strict', False, 'Exit with 1 if anything was left out or changed.'
)
flags.mark_flags_as_required(['output_dir', 'name'])
flags.mark_flags_as_mutual_exclusive(
  [
    'annotations',
    'coco_json',
    'voc_annotation_dir',
    'instance_masks_dir',
    'classification_dir',
    'segmentation_dir',
  ],
  required=True,
)
_GO_WITH = {
  'source': 'annotations',
  'mask_class': 'instance_masks_dir',
  'ignore_label': 'segmentation_dir',
  'split_seed': 'split',
  'crop_margin': 'crop_boxes',
}
for _flag, _other in _GO_WITH.items():
  flags.register_multi_flags_validator(
    [_flag, _other],
    lambda values, flag=_flag, other=_other: (
      values[other] or values[flag] == FLAGS[flag].default
    ),
    f'--{_flag} has no effect without --{_other}. Leave it out.',
  )
# Flags that one source alone has.
_OF_SOURCE = {
  'voc_split_file': 'voc',
  'voc_one_based': 'voc',
  'class_names': 'open_images',
}
# Flags of annotations, each with their source.
_SOURCES = {
  'coco_json': 'coco',
  'voc_annotation_dir': 'voc',
  'classification_dir': 'class_folders',
  'instance_masks_dir': 'instance_masks',
  'segmentation_dir': 'label_pngs',
}


@flags.multi_flags_validator(
  ['classification_dir', 'annotations', 'image_dir', 'crop_boxes'],
  'Boxes need --image_dir; --classification_dir goes without it and without '
  '--crop_boxes.',
)
def _fit_together(values: Dict[str, Any]) -> bool:
  if values['classification_dir']:
    return not (values['image_dir'] or values['crop_boxes'])
  return bool(values['image_dir'] or values['annotations'])


@flags.multi_flags_validator(
  ['segmentation_dir', 'label_map', 'crop_boxes'],
  '--segmentation_dir needs --label_map, a file with a line id:name for each '
  'class, and goes without --crop_boxes.',
)
def _has_classes(values: Dict[str, Any]) -> bool:
  return not values['segmentation_dir'] or (
    bool(values['label_map']) and not values['crop_boxes']
  )


@flags.multi_flags_validator(
  [
    *('include_masks', 'voc_annotation_dir', 'crop_boxes'),
    *('classification_dir', 'segmentation_dir'),
  ],
  '--include_masks goes with --annotations, --coco_json and '
  '--instance_masks_dir, and without --crop_boxes.',
)
def _has_masks(values: Dict[str, Any]) -> bool:
  return not values['include_masks'] or sum(map(bool, values.values())) == 1


@flags.multi_flags_validator(
  ['name', 'split'],
  'There is one --name, without a folder; --split has two or three shares '
  'above 0 whose sum is 1, and a name for each, all different, such as '
  '--split=0.8,0.2 --name=train,val.',
)
def _are_named(values: Dict[str, Any]) -> bool:
  names = values['name'] or []
  if len(names) > 1 and not values['split']:
    each = ', then '.join(f'--name={name}' for name in names)
    raise flags.ValidationError(
      'Several names go with --split=0.8,0.2, which splits a whole set. One '
      f'that has splits is converted a split at a time: {each}.'
    )
  shares = [numerals.number(text) or 0 for text in values['split'] or '1']
  return (
    min(shares) > 0
    and abs(sum(shares) - 1) < 1e-6
    and len(shares) == len(names) == len(set(names)) <= 3
    and all(name and '/' not in name for name in names)
  )


def _read(report: Any) -> Any:
  """Returns what the flags name, as `annotations.AnnotatedSet`."""
  from tools.record_sources import (
    class_folders,
    instance_masks,
    label_pngs,
    sources,
  )
  from utils import label_map

  names = label_map.read_label_map(FLAGS.label_map) if FLAGS.label_map else None
  split = 'all'
  if FLAGS.annotations:
    found = sources.recognise(FLAGS.annotations, FLAGS.source)
    print(f'Reading {found.source} annotations of {found.path}.')
    split = 'all' if FLAGS.split else FLAGS.name[0]
  else:
    flag = next(flag for flag in _SOURCES if FLAGS[flag].value)
    found = sources.Found(_SOURCES[flag], FLAGS[flag].value)
  for flag, source in _OF_SOURCE.items():
    if FLAGS[flag].value and found.source != source:
      raise errors.ConfigError(
        f'--{flag} is for {source} alone, but {found.path} is {found.source}. '
        'Leave it out.'
      )
  if FLAGS.classification_dir:
    return class_folders.read_class_folders(found.path, report, names)
  if FLAGS.segmentation_dir:
    return label_pngs.read_label_pngs(
      found.path, FLAGS.image_dir, report, names, FLAGS.ignore_label
    )
  if FLAGS.instance_masks_dir:
    return instance_masks.read_instance_masks(
      found.path, FLAGS.image_dir, report, FLAGS.mask_class, names
    )
  return sources.read(
    found,
    FLAGS.image_dir,
    report,
    split,
    names,
    FLAGS.voc_split_file,
    FLAGS.voc_one_based,
    FLAGS.class_names,
  )


def _next(prefixes: List[str], num_classes: int) -> str:
  from tools.starter import record_sets

  classes = FLAGS.classification_dir or FLAGS.crop_boxes
  if not (classes or FLAGS.segmentation_dir or FLAGS.include_masks):
    # Another set may be missing yet.
    with contextlib.suppress(errors.UserError):
      record_sets.find(FLAGS.output_dir)
      folder = shlex.quote(FLAGS.output_dir)
      return f'new_config.py {folder} --minutes=15 --output=my.yaml'
  patterns = ','.join(prefix + '-*.tfrecord' for prefix in prefixes)
  return (
    f"check_records.py --file_pattern='{patterns}' --num_classes={num_classes}"
  )


def main(argv: List[str]) -> None:
  del argv  # Unused.
  # Imports TensorFlow, which is quiet only if logging is set up before.
  program.quieten_tensorflow()
  from tools.record_sources import (
    classification_records,
    conversion,
    detection_records,
    segmentation_records,
    split,
  )
  from tools.record_sources import report as report_lib

  report = report_lib.Report()
  annotated = _read(report)
  if FLAGS.crop_boxes:
    kind = classification_records.CropRecords(FLAGS.crop_margin)
  elif FLAGS.classification_dir:
    kind = classification_records.ClassificationRecords()
  elif FLAGS.segmentation_dir:
    kind = segmentation_records.SegmentationRecords(FLAGS.ignore_label)
  else:
    kind = detection_records.DetectionRecords(FLAGS.include_masks)
  splits = {FLAGS.name[0]: annotated}
  if FLAGS.split:
    shares = dict(zip(FLAGS.name, map(float, FLAGS.split)))
    splits = split.split(annotated, shares, FLAGS.split_seed)
  written = conversion.convert(
    splits,
    report,
    output_dir=FLAGS.output_dir,
    num_shards=FLAGS.num_shards,
    overwrite=FLAGS.overwrite,
    kind=kind,
  )
  conversion.print_summary(written, report)
  if FLAGS.instance_masks_dir and not FLAGS.include_masks:
    print('Only boxes of the masks were written; --include_masks adds them.')
  prefixes = [os.path.join(FLAGS.output_dir, name) for name in FLAGS.name]
  print('Next: python tools/' + _next(prefixes, 1 + max(annotated.label_map)))
  if report.num_problems:
    reports = ' and '.join(prefix + '_report.json' for prefix in prefixes)
    print(f'Problems: {report.num_problems}, all listed in {reports}')
    if FLAGS.strict:
      sys.exit(1)


def _explain(error: Exception) -> Optional[errors.UserError]:
  # Imports TensorFlow.
  from executor import failures

  return failures.explain(error)


if __name__ == '__main__':
  program.run(main, _explain)
