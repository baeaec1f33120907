"""Measures the training graph of every preset: how long to build, how large.

  python tools/bench_graphs.py
  python tools/bench_graphs.py --steps=1 --presets=spinenet49_retinanet

Both are paid at every start, so each preset has a bound on its nodes; beyond
it, or beyond 40 s, the exit code is 1. With --steps, also the time of a
training step of one image, and the peak memory of the process. Every preset has
a process of its own.
"""

from typing import Optional

from absl import flags

from configs import presets
from tools import bench_timing
from utils import errors, program

FLAGS = flags.FLAGS
flags.DEFINE_list('presets', [], 'Names of presets; default: all.')
flags.DEFINE_integer('steps', 0, 'Training steps to time, of one image.', 0)

# Measured, and a twentieth more.
MOST_NODES = {
  'bccd_autoaugment': 4100,
  'bccd_nasfpn': 8300,
  'bccd_resnet10': 4100,
  'small_cpu': 4800,
  'bccd_spinenet49S': 15700,
  'bccd_yardstick': 6300,
  'retinanet_autoaugment': 12800,
  'retinanet_demo': 3900,
  'retinanet_nasfpn': 18300,
  'retinanet_resnet50': 12800,
  'spinenet143_retinanet': 39400,
  'spinenet143_retinanet_2020': 39400,
  'spinenet143_selftraining': 39400,
  'spinenet190_retinanet': 50200,
  'spinenet190_selftraining': 50200,
  'spinenet49S_retinanet': 22500,
  'spinenet49_mbconv_retinanet': 20200,
  'spinenet49_retinanet': 23100,
  'spinenet49_retinanet_2020': 23100,
  'spinenet96_retinanet': 31700,
  'spinenet96_retinanet_2020': 31700,
}
_MOST_SECONDS = 40


def main(argv):
  del argv
  print(
    '{:28}{:>8}{:>8}{:>9}{:>8}{:>9}'.format(
      'training graph', 'build s', 'nodes', 'at most', 'step s', 'peak GB'
    )
  )
  too_much = []
  for preset in presets.find_presets(FLAGS.presets):
    results = bench_timing.in_own_process(
      'bench_training_step.py',
      '--config_file=' + preset.path,
      '--steps={}'.format(FLAGS.steps),
    )
    print(
      '{:28}{:8.1f}{:8.0f}{:9}{:>8}{:>9}'.format(
        preset.name,
        results['build_seconds'],
        results['nodes'],
        MOST_NODES[preset.name],
        _one_decimal(results.get('step_seconds')),
        _one_decimal(results.get('peak_gb')),
      ),
      flush=True,
    )
    if results['nodes'] > MOST_NODES[preset.name]:
      too_much.append('{} has too many nodes'.format(preset.name))
    if results['build_seconds'] > _MOST_SECONDS:
      too_much.append('{} takes too long to build'.format(preset.name))
  print('building takes at most {} s each'.format(_MOST_SECONDS))
  if too_much:
    raise errors.UserError('{}.'.format('; '.join(too_much)))


def _one_decimal(value: Optional[float]) -> str:
  return '-' if value is None else '{:.1f}'.format(value)


if __name__ == '__main__':
  program.run(main)
