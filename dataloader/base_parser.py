"""Interface of a parser."""

import abc
from typing import Any, Dict, Optional

import tensorflow.compat.v1 as tf

from dataloader import record_contents
from utils import errors, mode_keys

Tensors = Dict[str, Any]


class Parser(abc.ABC):
  """Turns records into batches of a model's images and labels.

  A record passes `parse_record`, `decode` and `process`, which do what has to
  be done for each image alone; batches of the outcome pass `finish_batch`,
  which computes the labels of all images at once.

  Args:
    mode: one of `utils.mode_keys`.

  Attributes:
    num_draws: random numbers that `process` takes for a training image.
    takes_second_record: whether `process` makes a training image of two records
      (`train.pre_parser_dataset`).
    contents: what records have to hold beside the image.
    max_objects: number of objects of an image that labels hold, if bounded.
    output_size: (height, width) of the image in pixels, before padding.

  Raises:
    ConfigError: the mode is unknown.
  """

  num_draws = 0
  takes_second_record = False
  contents = record_contents.OBJECTS
  max_objects: Optional[int] = None

  def __init__(self, mode: str, output_size: Any):
    if mode not in mode_keys.ALL:
      raise errors.ConfigError(
        'Mode {!r} is unknown; known are {}.'.format(
          mode, ', '.join(mode_keys.ALL)
        )
      )
    self._mode = mode
    self._is_training = mode == mode_keys.TRAIN
    self.output_size = tuple(output_size)

  @abc.abstractmethod
  def parse_record(self, record: tf.Tensor) -> Tensors:
    """Parses a serialized tf.Example; the image stays encoded."""

  @abc.abstractmethod
  def decode(self, parsed: Tensors) -> Tensors:
    """Decodes the image of what `parse_record` gives."""

  @abc.abstractmethod
  def process(
    self, data: Tensors, draws: Optional[tf.Tensor] = None
  ) -> Tensors:
    """Makes one element of the dataset.

    With `takes_second_record` it takes `data` and `draws` of another record,
    too.

    Args:
      data: of `decode`.
      draws: float32 [num_draws], uniform in [0, 1); in training.
    """

  @abc.abstractmethod
  def padding_element(self) -> Tensors:
    """An element as `process` makes, to fill the last batch up with."""

  @abc.abstractmethod
  def finish_batch(self, batch: Tensors) -> Any:
    """What the dataset yields for a batch of elements.

    Returns:
      (images, labels) in TRAIN and EVAL, else {'images', 'labels'}.
    """
