"""Installs the framework; the folders at the top level are its packages."""

import glob
import os
import pathlib

from setuptools import find_packages, setup

_NOT_SCRIPTS = {'setup'}


def _scripts():
  """Names of the programs beside this file, such as `main`."""
  names = {os.path.splitext(name)[0] for name in glob.glob('*.py')}
  return sorted(names - _NOT_SCRIPTS)


setup(
  name='tpu-detection',
  version='0.1.0',
  description='Object detection with TensorFlow 1.15 on TPU, GPU and CPU',
  long_description=pathlib.Path('README.md').read_text(encoding='utf-8'),
  long_description_content_type='text/markdown',
  license='Apache-2.0',
  python_requires='>=3.7,<3.8',
  packages=find_packages(exclude=['tests', 'tests.*']),
  py_modules=_scripts(),
  package_data={
    'configs': ['*/*.yaml'],
    'evaluation': ['pages/*.html', 'pages/*.css', 'pages/*.js'],
    'serving': ['inference/*.html', 'http/*.html'],
  },
  install_requires=[
    'absl-py',
    'anyascii',
    'cloud-tpu-client',
    'faster-coco-eval',
    'h11',
    'jinja2',
    'matplotlib',
    'numpy<1.20',
    'onnx',
    'onnxruntime',
    'opencv-python-headless',
    'Pillow',
    'protobuf<3.21',
    'psutil',
    'pycocotools',
    'PyYAML',
    'rich',
    'safetensors',
    'starlette',
    'tensorflow==1.15.0',
    'tensorflow-estimator==1.15.1',
    'tf2onnx',
    'tqdm',
    'uvicorn',
  ],
)
