"""Global batches and how they divide over replicas and parts."""

from typing import Any, NamedTuple, Optional

from executor import hardware as hardware_lib


class Batch(NamedTuple):
  """A global batch.

  Attributes:
    key: dotted, of its size.
    size: images.
    num_replicas: that share it.
    num_parts: in which a replica computes its share, one after the other.
  """

  key: str
  size: int
  num_replicas: int
  num_parts: int = 1

  @property
  def size_that_divides(self) -> int:
    """The size, or the next smaller one that divides, if there is one."""
    unit = self.num_replicas * self.num_parts
    return self.size // unit * unit or unit

  def __str__(self) -> str:
    text = f'{self.size} images'
    if self.num_replicas > 1:
      text += (
        f', {self.size / self.num_replicas:g} for each of {self.num_replicas}'
      )
    if self.num_parts > 1:
      text += f' in {self.num_parts} parts'
    return text

  @property
  def problem(self) -> Optional[str]:
    """A message if it does not divide."""
    if self.size == self.size_that_divides:
      return None
    parts = ''
    if self.num_parts > 1:
      parts = (
        f' in {self.num_parts} parts each (train.gradient_accumulation_steps)'
      )
    return (
      f'{self.key}: {self.size} images do not divide over {self.num_replicas} '
      f'replicas{parts}. Use a multiple of '
      f'{self.num_replicas * self.num_parts}, such as '
      f'{self.size_that_divides}.'
    )


def batch_of(
  params: Any, hardware: hardware_lib.Hardware, is_training: bool
) -> Batch:
  """The batch of training or of evaluation on some hardware."""
  if is_training:
    return Batch(
      'train.train_batch_size',
      params.train.train_batch_size,
      hardware.num_replicas,
      params.train.gradient_accumulation_steps,
    )
  # Under a distribution strategy one device evaluates.
  is_shared = hardware.kind == hardware_lib.TPU
  return Batch(
    'eval.eval_batch_size',
    params.eval.eval_batch_size,
    hardware.num_replicas if is_shared else 1,
  )
