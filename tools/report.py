"""Page of an evaluation: what is wrong with a detector, with pictures.

  python tools/report.py MODEL_DIR
  python tools/report.py PREDICTIONS.json ANNOTATIONS.json \\
    --images=DIR_OR_RECORDS --output=report.html
  python tools/report.py --compare MODEL_DIR OTHER_MODEL_DIR
  python tools/report.py --compare A.json B.json ANNOTATIONS.json --images=...

Predictions are in COCO's format for results, such as inference.py --output_json
and evaluations (predictions.json) write it.
"""

import os

from absl import flags

from utils import errors, files, program

FLAGS = flags.FLAGS
flags.DEFINE_string(
  'images', None, "Folder of the annotations' files, or glob of TFRecords."
)
flags.DEFINE_string('output', None, 'HTML file to write.')
flags.DEFINE_string('config', None, 'Config of the run, for the advice.')
flags.DEFINE_bool('compare', False, 'Compare two runs.')


def main(argv):
  arguments = argv[1:]
  are_runs = len(arguments) == 1 + FLAGS.compare
  program.quieten_tensorflow()
  import tensorflow.compat.v1 as tf

  from configs import resolver
  from evaluation import detection_file
  from evaluation.pages import (
    compare_page,
    image_lookup,
    report_page,
    run_results,
  )

  if len(arguments) != 1 + FLAGS.compare + (not are_runs) or any(
    tf.io.gfile.isdir(argument) != are_runs for argument in arguments
  ):
    raise errors.ConfigError(
      'Needed are {} and one of annotations, or {}; given: {}.'.format(
        *('two files of predictions', 'two existing model_dirs')
        if FLAGS.compare
        else ('a file of predictions', 'an existing model_dir'),
        ' '.join(arguments) or 'nothing',
      )
    )
  params = FLAGS.config and resolver.resolve(config_file=FLAGS.config).params
  if are_runs:
    results = [run_results.of_model_dir(path, params) for path in arguments]
  else:
    *paths, annotation_path = arguments
    results = [
      run_results.Results(
        os.path.basename(path),
        *detection_file.load(path, annotation_path),
        params=params,
      )
      for path in paths
    ]
  if FLAGS.images:
    results = [run._replace(images=FLAGS.images) for run in results]
  if len({run.title for run in results}) < len(results):
    results = [r._replace(title=path) for r, path in zip(results, arguments)]
  # What can be wrong shows before the work.
  for run in results:
    if run.images is not None:
      image_lookup.check(
        run.images,
        run.annotations,
        {row['image_id'] for row in run.predictions},
        run.regenerate_source_id,
      )
  default = results[0].directory if are_runs and not FLAGS.compare else ''
  name = 'compare.html' if FLAGS.compare else 'report.html'
  output = FLAGS.output or os.path.join(default, name)
  _check_can_be_written(output)
  write = compare_page.write if FLAGS.compare else report_page.write
  write(output, *results)


def _check_can_be_written(path: str) -> None:
  """Raises what the page at the end of the work would."""
  if files.is_remote(path):
    return
  if os.path.isdir(path):
    raise errors.ConfigError(f"--output: '{path}' is a folder. Give a file.")
  unfinished = files.Unfinished(path)
  try:
    open(unfinished.temporary, 'w').close()
  finally:
    unfinished.discard()


if __name__ == '__main__':
  program.run(main, takes_arguments=True)
