"""Trains and evaluates a tiny model with two replicas on one CPU.

  python -m tests.executor.mirrored_run MODEL_DIR CONFIG_JSON

A process of its own, since the number of CPU devices of a process is fixed.
"""

import functools
import json
import sys

import tensorflow.compat.v1 as tf

from configs import resolver
from executor import estimator_factory, hardware
from executor import runner as runner_lib

_DEVICES = ('/cpu:0', '/cpu:1')


def main(model_dir, config):
  params = resolver.resolve(
    params_override=config, flags={'model_dir': model_dir}
  ).params
  found = hardware.Hardware(hardware.GPU, len(_DEVICES), 'two CPU devices')
  hardware.detect = lambda params, awaits_new_tpu: found
  tf.distribute.MirroredStrategy = functools.partial(
    tf.distribute.MirroredStrategy, devices=_DEVICES
  )
  session_config = estimator_factory.session_config

  def with_two_devices(*args):
    config = session_config(*args)
    config.device_count['CPU'] = len(_DEVICES)
    return config

  estimator_factory.session_config = with_two_devices
  runner = runner_lib.Runner(params)
  print(json.dumps(runner.train(eval_after_training=True)))


if __name__ == '__main__':
  main(*sys.argv[1:])
