"""The files for Slurm and Kubernetes give each worker its TF_CONFIG."""

import os
import re
import subprocess

import yaml

from executor.multi_worker import cluster

_FOLDER = os.path.join(
  os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'docs', 'cluster'
)


def _program(directory, name, script):
  path = directory / name
  path.write_text('#!/bin/bash\n' + script)
  path.chmod(0o755)


def _run(directory, command, **variables):
  # In place of training.
  _program(directory, 'python', 'echo "${TF_CONFIG}"; echo "$@" >&2\n')
  run = subprocess.run(
    command,
    env={
      **os.environ,
      'PATH': '{}:{}'.format(directory, os.environ['PATH']),
      **variables,
    },
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    universal_newlines=True,
  )
  assert run.returncode == 0, run.stderr
  return cluster.from_environment({'TF_CONFIG': run.stdout}), run.stderr


def test_slurm(tmp_path):
  _program(tmp_path, 'scontrol', 'printf "%s\\n" node3 node7\n')
  _program(tmp_path, 'srun', 'SLURM_PROCID=1 exec "$@"\n')
  found, arguments = _run(
    tmp_path,
    ['bash', os.path.join(_FOLDER, 'train.sbatch')],
    SLURM_JOB_NODELIST='node[3,7]',
    MODEL_DIR='/shared/m',
    CONFIG_FILE='c.yaml',
  )
  assert found.workers == ('node3:2222', 'node7:2222')
  assert found.index == 1
  assert '--model_dir=/shared/m --config_file=c.yaml' in arguments


def test_kubernetes(tmp_path):
  with open(os.path.join(_FOLDER, 'train.k8s.yaml')) as source:
    service, job = yaml.safe_load_all(source)
  spec = job['spec']['template']['spec']
  (container,) = spec['containers']
  (variable,) = container['env']
  assert int(variable['value']) == job['spec']['completions']
  assert job['spec']['completions'] == job['spec']['parallelism']
  found, arguments = _run(
    tmp_path,
    container['command'],
    JOB_COMPLETION_INDEX='2',
    **{variable['name']: variable['value']},
  )
  assert found.num_workers == job['spec']['completions']
  assert found.index == 2
  # Pods of an indexed job are reached as JOB-INDEX.SUBDOMAIN.
  pattern = r'{}-\d\.{}:(\d+)'.format(
    job['metadata']['name'], spec['subdomain']
  )
  for address in found.workers:
    port = int(re.match(pattern + '$', address).group(1))
    assert port == container['ports'][0]['containerPort']
  assert service['metadata']['name'] == spec['subdomain']
  assert service['spec']['selector'] == {'job-name': job['metadata']['name']}
  assert service['spec']['clusterIP'] == 'None'
  assert '--mode=train' in arguments
