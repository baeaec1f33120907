"""Draws the learning curve of a training: losses, learning rate and AP.

  python tools/plot_curve.py --model_dir=/tmp/model --output=curve.png

Works while the training runs, too.
"""

from typing import List

from absl import flags

from utils import program

FLAGS = flags.FLAGS
flags.DEFINE_string('model_dir', None, 'Directory of the training.')
flags.DEFINE_string('output', 'curve.png', 'Picture: .png, .svg or .pdf.')
flags.mark_flag_as_required('model_dir')


def main(argv: List[str]) -> None:
  del argv  # Unused.
  program.quieten_tensorflow()
  from tools import learning_curve

  tags = learning_curve.plot_learning_curve(FLAGS.model_dir, FLAGS.output)
  print('{} shows {}'.format(FLAGS.output, ', '.join(tags)))


if __name__ == '__main__':
  program.run(main)
