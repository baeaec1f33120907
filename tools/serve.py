"""Serves an exported model over HTTP.

  python tools/serve.py MODEL_DIR
  python tools/serve.py MODEL_DIR --host=0.0.0.0 --port=8501 --model_name=cells

It speaks the REST API of TensorFlow Serving, and shows a page at / where a
picture can be tried out. MODEL_DIR is an export directory, or a directory of
such, called by the numbers of their versions. docs/serving.md has examples.
"""

import re
from typing import List

from absl import flags

from utils import errors, program

FLAGS = flags.FLAGS
flags.DEFINE_string(
  'host', '127.0.0.1', 'Address to serve at; 0.0.0.0: all of this machine.'
)
flags.DEFINE_integer('port', 8501, 'Port; 0 takes any that is free.', 0, 65535)
flags.DEFINE_string(
  'format',
  None,
  'Which format of the export: saved_model, onnx, ...; by default the '
  'SavedModel, else the first.',
)
flags.DEFINE_string('variant', '', 'Which variant of the format: int8, ...')
flags.DEFINE_string(
  'model_name', None, "Name in URLs; by default that of the model's directory."
)
flags.DEFINE_integer(
  'max_batch_size',
  8,
  'Images at once, for a model that takes any number of them.',
  1,
)
flags.DEFINE_float(
  'max_delay_ms', 5.0, 'How long an image waits for others to join it.', 0.0
)
flags.DEFINE_integer(
  'max_queue', 64, 'Images in the server at one time; more get a 503.', 1
)
flags.DEFINE_integer('max_body_mb', 32, 'Size of a request (MiB).', 1)
flags.DEFINE_float(
  'max_image_megapixels', 50.0, 'Size of an encoded image.', 0.0
)
flags.DEFINE_float(
  'body_timeout', 60.0, 'Seconds for a request to arrive.', 0.0
)


def main(argv: List[str]) -> None:
  if len(argv) != 2:
    raise errors.ConfigError(
      'Give one model directory: python tools/serve.py MODEL_DIR; there are '
      f'{len(argv) - 1}.'
    )
  if FLAGS.model_name is not None and not re.match(
    r'[\w.-]+$', FLAGS.model_name, re.ASCII
  ):
    raise errors.ConfigError(
      f'--model_name={FLAGS.model_name} may hold letters, digits, and _ . - '
      'only.'
    )
  program.quieten_tensorflow()
  from serving.http import request_limits, served_model, server

  location = served_model.locate(argv[1], FLAGS.model_name)
  # Before the model is loaded, which takes a while.
  with server.bind(FLAGS.host, FLAGS.port) as bound:
    server.serve(
      location,
      bound,
      request_limits.Limits(
        max_batch_size=FLAGS.max_batch_size,
        max_delay=FLAGS.max_delay_ms / 1000,
        max_queue=FLAGS.max_queue,
        max_body=FLAGS.max_body_mb * 2**20,
        max_image_pixels=int(FLAGS.max_image_megapixels * 1e6),
        body_timeout=FLAGS.body_timeout,
      ),
      FLAGS.format,
      FLAGS.variant,
    )


if __name__ == '__main__':
  program.run(main, takes_arguments=True)
