"""Measures the peak memory of training steps, with and without recomputation.

  python tools/bench_memory.py

Each figure is that of a process of its own, which trains two steps. What it
frees goes back to the system at once, since the C library would otherwise keep
much of it. The processes run one after the other, so the time of a step says
little on a busy machine.
"""

import json

from absl import flags

from tools import bench_timing
from utils import program

FLAGS = flags.FLAGS
flags.DEFINE_integer('size', 256, 'Image side in pixels.', 128)
flags.DEFINE_integer('batch_size', 8, 'Images of a step.', 1)

_SPINENET49 = {
  'architecture': {'backbone': 'spinenet', 'multilevel_features': 'identity'},
  'spinenet': {'model_id': '49'},
}
NETWORKS = {'SpineNet-49': _SPINENET49, 'ResNet-50-FPN': {}}
# Of the network that has a bound.
_BOUNDED, _MOST = ('SpineNet-49', 'recomputed'), 0.6
_WAYS = {
  'plain': {},
  'recomputed': {'recompute_grad': True},
  'in 4 parts': {'gradient_accumulation_steps': 4},
  'both': {'recompute_grad': True, 'gradient_accumulation_steps': 4},
}


def main(argv):
  del argv
  print(
    'training step of {0} images of {1} x {1} pixels'.format(
      FLAGS.batch_size, FLAGS.size
    )
  )
  print('{:>37}{:>8}{:>8}'.format('peak GB', 'ratio', 'step s'))
  for network, changes in NETWORKS.items():
    plain = None
    for way, settings in _WAYS.items():
      override = {
        **changes,
        'retinanet_parser': {'output_size': [FLAGS.size, FLAGS.size]},
        'train': settings,
      }
      results = bench_timing.in_own_process(
        'bench_training_step.py',
        '--params_override=' + json.dumps(override),
        '--batch_size={}'.format(FLAGS.batch_size),
        '--steps=1',
        # Of glibc; other C libraries do not know it.
        MALLOC_MMAP_THRESHOLD_=str(2**20),
      )
      plain = plain or results['peak_gb']
      print(
        '{:16}{:12}{:9.2f}{:8.2f}{:8.1f}{}'.format(
          network,
          way,
          results['peak_gb'],
          results['peak_gb'] / plain,
          results['step_seconds'],
          '  (at most {})'.format(_MOST) if (network, way) == _BOUNDED else '',
        ),
        flush=True,
      )


if __name__ == '__main__':
  program.run(main)
