"""What the name of an operation in the computation of a replica tells."""

from modeling.training import accumulation

_PREFIX = accumulation.SCOPE + '/'


def of_part(op_name: str) -> str:
  """The name that an operation has without train.gradient_accumulation_steps.

  With it, the network of one part of the batch is the body of a loop.
  """
  return op_name[len(_PREFIX) :] if op_name.startswith(_PREFIX) else op_name


def layer_scope(op_name: str) -> str:
  """The scope that an operation of this name is in, '' at the top."""
  return op_name.rpartition('/')[0]
