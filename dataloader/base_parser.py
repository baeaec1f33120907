"""Interface of a parser."""

import abc
from typing import Any, Dict, Optional, Sequence

import tensorflow.compat.v1 as tf

from configs import factory
from dataloader import record_contents
from ops import image_layout, preprocess_ops
from utils import errors, mode_keys

Tensors = Dict[str, Any]


class Parser(abc.ABC):
  """Turns records into batches of a model's images and labels.

  A record passes `parse_record`, `decode` and `process`, which do what has to
  be done for each image alone; batches of the outcome pass `finish_batch`,
  which computes the labels of all images at once.

  Args:
    mode: one of `utils.mode_keys`.
    output_size: (height, width) of the image in pixels, before padding.
    use_bfloat16: deliver images as bfloat16.
    transpose_input: deliver training images with the batch dimension behind
      the spatial ones.
    space_to_depth_block_size: above 1, move blocks of pixels of training
      images into channels.

  Attributes:
    num_draws: random numbers that `process` takes for a training image.
    takes_second_record: whether `process` makes a training image of two records
      (`train.pre_parser_dataset`).
    contents: what records have to hold beside the image.
    max_objects: number of objects of an image that labels hold, if bounded.
    output_size: as given.

  Raises:
    ConfigError: the mode is unknown.
  """

  num_draws = 0
  takes_second_record = False
  contents = record_contents.OBJECTS
  max_objects: Optional[int] = None

  def __init__(
    self,
    mode: str,
    output_size: Sequence[int],
    use_bfloat16: bool = False,
    transpose_input: bool = False,
    space_to_depth_block_size: int = 1,
  ):
    if mode not in mode_keys.ALL:
      raise errors.ConfigError(
        'Mode {!r} is unknown; known are {}.'.format(
          mode, ', '.join(mode_keys.ALL)
        )
      )
    self._mode = mode
    self._is_training = mode == mode_keys.TRAIN
    self.output_size = tuple(output_size)
    self._dtype = tf.bfloat16 if use_bfloat16 else tf.float32
    self._layout = transpose_input, space_to_depth_block_size

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

  def _to_dtype(self, image: tf.Tensor) -> tf.Tensor:
    """Brings a normalised float32 image into the dtype that is delivered."""
    if self._dtype == tf.bfloat16:
      return preprocess_ops.to_bfloat16(image)
    return image

  def _in_layout(self, images: tf.Tensor) -> tf.Tensor:
    """Brings a batch of training images into the layout of the model."""
    return image_layout.to_input_layout(images, *self._layout)


def arguments(params: Any, mode: str) -> Dict[str, Any]:
  """Arguments of `Parser`, from the whole config."""
  architecture = params.architecture
  return {
    'mode': mode,
    'output_size': factory.parser_settings(params).output_size,
    'use_bfloat16': architecture.use_bfloat16,
    'transpose_input': params.train.transpose_input,
    'space_to_depth_block_size': architecture.space_to_depth_block_size,
  }
