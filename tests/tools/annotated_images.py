"""Small annotated sets for tests, and what became of them."""

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image

from tools.record_sources import conversion, voc
from tools.record_sources import report as report_lib


def save_image(path, width=40, height=30, **options):
  pixels = np.arange(width * height * 3).reshape([height, width, 3]) % 251
  Image.fromarray(pixels.astype(np.uint8)).save(str(path), **options)


def voc_object(name, xmin, ymin, xmax, ymax, difficult=0):
  return (
    '<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin>'
    '<ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>'
  ).format(name, difficult, xmin, ymin, xmax, ymax)


def write_xml(folder, stem, objects='', filename=None, size=(40, 30)):
  (folder / (stem + '.xml')).write_text(
    '<annotation><filename>{}</filename><size><width>{}</width><height>{}'
    '</height><depth>3</depth></size>{}</annotation>'.format(
      filename or stem + '.jpg', size[0], size[1], objects
    )
  )


def read_voc(voc_dirs, report=None, **options):
  report = report or report_lib.Report()
  return voc.read_voc(str(voc_dirs[0]), str(voc_dirs[1]), report, **options)


def convert(annotated, report, tmp_path, name='train', num_shards=1, **options):
  folder = str(tmp_path / 'out')
  return conversion.convert(
    {name: annotated}, report, folder, num_shards, **options
  )[name]


def examples(files):
  return [
    tf.train.Example.FromString(record)
    for path in files
    for record in tf.io.tf_record_iterator(path)
  ]


def values(example, key):
  feature = example.features.feature[key]
  return list(getattr(feature, feature.WhichOneof('kind')).value)
