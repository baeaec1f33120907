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

from utils import errors, program

FLAGS = flags.FLAGS
flags.DEFINE_string(
  'images', None, "Folder of the annotations' files, or glob of TFRecords."
)
flags.DEFINE_string('output', None, 'HTML file to write.')
flags.DEFINE_string('config', None, 'Config of the run, for the advice.')
flags.DEFINE_bool('compare', False, 'Compare two runs.')


def main(argv):
  arguments = argv[1:]
  are_runs = all(os.path.isdir(argument) for argument in arguments)
  if len(arguments) != 1 + FLAGS.compare + (not are_runs):
    raise errors.ConfigError(
      'Needed are {} and one of annotations, or {}; given: {}.'.format(
        *('two files of predictions', 'two existing model_dirs')
        if FLAGS.compare
        else ('a file of predictions', 'an existing model_dir'),
        ' '.join(arguments) or 'nothing',
      )
    )
  program.quieten_tensorflow()
  from configs import resolver
  from evaluation import detection_file
  from evaluation.pages import compare_page, report_page, run_results

  if are_runs:
    results = list(map(run_results.of_model_dir, arguments))
  else:
    *paths, annotation_path = arguments
    params = FLAGS.config and resolver.resolve(config_file=FLAGS.config).params
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
  if FLAGS.compare:
    compare_page.write(FLAGS.output or 'compare.html', *results)
    return
  (run,) = results
  default = run.directory if run.model_dir else ''
  report_page.write(FLAGS.output or os.path.join(default, 'report.html'), run)


if __name__ == '__main__':
  program.run(main, takes_arguments=True)
