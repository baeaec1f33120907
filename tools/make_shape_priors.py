"""Clusters the masks of records into shape priors.

  python tools/make_shape_priors.py --file_pattern='records/train-*.tfrecord' \\
    --output=records/priors.npy

writes what `shapemask_head.shape_prior_path` takes: for each class the means of
--num_clusters clusters of masks within their boxes, resized to --size (k-means,
Kuo et al., arXiv:1904.03239). Crowds are left out. --class_agnostic writes one
row for all classes, for `shapemask_head.use_category_for_mask: false`. The same
records give the same priors.
"""

from typing import List

import numpy as np
from absl import flags

from tools import mask_clusters
from utils import errors, files, program

FLAGS = flags.FLAGS
flags.DEFINE_string(
  'file_pattern', None, 'Glob, or comma-separated TFRecords and globs.'
)
flags.DEFINE_string('output', None, 'Local file to write; ends with .npy.')
flags.DEFINE_integer(
  'num_classes',
  None,
  "architecture.num_classes; by default the records' largest class id plus 1.",
  2,
)
flags.DEFINE_integer('num_clusters', 20, 'Priors of a class.', 1)
flags.DEFINE_integer('size', 32, 'Side of a prior (cells).', 2)
flags.DEFINE_bool('class_agnostic', False, 'One row for all classes.')
flags.mark_flags_as_required(['file_pattern', 'output'])


def main(argv: List[str]) -> None:
  del argv  # Unused.
  if files.is_remote(FLAGS.output) or not FLAGS.output.endswith('.npy'):
    raise errors.ConfigError(
      f'--output={FLAGS.output} must be a local file that ends with .npy.'
    )
  # Imports TensorFlow, which is quiet only if logging is set up before.
  program.quieten_tensorflow()
  masks = mask_clusters.read_masks(
    FLAGS.file_pattern, FLAGS.size, FLAGS.num_classes
  )
  num_classes = FLAGS.num_classes or max(masks) + 1
  priors = mask_clusters.make(
    masks, num_classes, FLAGS.num_clusters, FLAGS.class_agnostic
  )
  with files.Unfinished(FLAGS.output) as temporary:
    np.save(temporary, priors)
  absent = [i for i in range(1, num_classes) if i not in masks]
  print(
    '{}: {} from {:,} masks; classes without masks: {}'.format(
      FLAGS.output,
      ' x '.join(map(str, priors.shape)),
      sum(map(len, masks.values())),
      ', '.join(map(str, absent)) or 'none',
    )
  )


if __name__ == '__main__':
  program.run(main)
