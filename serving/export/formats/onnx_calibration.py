"""Calibration of the integers of an ONNX model."""

import itertools
import logging
from typing import Any, Collection, Dict, Iterable, List, Sequence, Tuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

from serving.export.formats import onnx_int8
from serving.predictors import runtimes
from utils import errors

_log = logging.getLogger(__name__)

# Batches of which outputs are compared.
_NUM_COMPARED = 8
# Values that stand for a tensor: every so many, and of a batch so many.
_STRIDE, _NUM_SAMPLES = 61, 1024
# Of a range, tried against values that lie far out.
_SHARES = np.geomspace(1.0, 0.03, 36)
# Convolutions stay float that add at least this share of the error, as long as
# it is not small.
_LEAST_GAIN, _SMALL_ERROR = 0.1, 0.02
# Convolutions between the first and the last that are tried.
_NUM_BETWEEN = 3


def quantize(
  model: Any, outputs: Sequence[str], batches: Iterable[np.ndarray]
) -> Any:
  """Returns a model whose convolutions compute with integers.

  Values that lie far out are cut off if that brings the outputs closer to
  those of floats. Then the first convolution, the last ones before each output,
  and those between that add most to the error stay float where it pays. Both is
  logged.

  Args:
    model: onnx.ModelProto with one input; see `onnx_int8.quantize`.
    outputs: names of those to compare.
    batches: as the model is fed.

  Raises:
    UserError: the outputs of floats are not finite.
  """
  batches = iter(batches)
  shown = list(itertools.islice(batches, _NUM_COMPARED))
  chosen = onnx_int8.convolutions(model)
  tensors = sorted(onnx_int8.integer_tensors(model, chosen))
  whole, cut = _ranges(model, tensors, itertools.chain(shown, batches))
  comparison = _Comparison(model, outputs, shown)
  found = {
    name: (comparison.error(chosen, ranges), ranges)
    for name, ranges in (('min-max', whole), ('least squares', cut))
  }
  method = min(found, key=lambda name: found[name][0])
  error, ranges = found[method]
  if not np.isfinite(error):
    raise errors.UserError(
      'onnx_types: int8 needs finite numbers, and the model gives others, as '
      'one whose training has diverged. Take an earlier checkpoint, or leave '
      'int8 out.'
    )
  _log.info(
    'int8: ranges by %s; the outputs are off by %s of their deviation.',
    method,
    ', '.join(f'{e:.2%} ({name})' for name, (e, _) in found.items()),
  )
  chosen = _without_harmful(chosen, error, ranges, comparison)
  return onnx_int8.quantize(model, chosen, ranges)


def _without_harmful(
  chosen: List[str],
  error: float,
  ranges: onnx_int8.Ranges,
  comparison: '_Comparison',
) -> List[str]:
  """Leaves out the convolutions that stay float, and tells which and why."""
  groups = [chosen[:1], *comparison.last_convolutions()]
  tried = set().union(*groups)
  worst = comparison.most_harmful(chosen, ranges)
  groups += [[c] for c in worst if c not in tried][:_NUM_BETWEEN]
  for group in groups:
    if error <= _SMALL_ERROR:
      break
    fewer = [name for name in chosen if name not in group]
    left = comparison.error(fewer, ranges)
    if left <= (1 - _LEAST_GAIN) * error:
      _log.info(
        'int8: %s stay float: with integers the outputs are off by %.2f%%, '
        'without by %.2f%%.',
        ', '.join(group),
        100 * error,
        100 * left,
      )
      chosen, error = fewer, left
  return chosen


class _Comparison:
  """Integers beside floats, on a few batches.

  Args:
    model: of floats.
    outputs: names of those that count.
    batches: what is fed.
  """

  def __init__(
    self, model: Any, outputs: Sequence[str], batches: List[np.ndarray]
  ):
    self._model, self._outputs, self._batches = model, outputs, batches
    self._expected = self._run(model, outputs)

  def last_convolutions(self) -> List[List[str]]:
    """Names of those that each output ends with."""
    return [
      onnx_int8.last_convolutions(self._model, name) for name in self._outputs
    ]

  def error(self, chosen: Collection[str], ranges: onnx_int8.Ranges) -> float:
    """Deviation from the outputs of floats, as a share of their own; mean."""
    changed = onnx_int8.quantize(self._model, chosen, ranges)
    found = self._run(changed, self._outputs)
    return float(np.mean(list(map(_error, found, self._expected))))

  def most_harmful(
    self, chosen: Collection[str], ranges: onnx_int8.Ranges
  ) -> List[str]:
    """Returns `chosen`, that one first whose output is most off its input."""
    ends = {
      node.name: (node.input[0], node.output[0])
      for node in self._model.graph.node
      if node.name in chosen
    }
    names = sorted(set().union(*ends.values()))
    changed = onnx_int8.quantize(self._model, chosen, ranges)
    before, after = (
      self._run(probed, fetched[2::3])
      for probed, fetched in (_probed(m, names) for m in (self._model, changed))
    )
    errors = dict(zip(names, map(_error, after, before)))
    return sorted(chosen, key=lambda c: errors[ends[c][0]] - errors[ends[c][1]])

  def _run(self, model: Any, outputs: Sequence[str]) -> List[np.ndarray]:
    session = runtimes.onnx_session(model.SerializeToString())
    (fed,) = session.get_inputs()
    runs = [session.run(outputs, {fed.name: b}) for b in self._batches]
    return [np.concatenate(values) for values in zip(*runs)]


def _error(found: np.ndarray, expected: np.ndarray) -> float:
  deviation = np.std(expected) or 1.0
  return float(np.sqrt(np.mean((found - expected) ** 2)) / deviation)


def _ranges(
  model: Any, names: List[str], batches: Iterable[np.ndarray]
) -> Tuple[onnx_int8.Ranges, onnx_int8.Ranges]:
  """Returns ranges of tensors: the whole ones, and cut ones."""
  whole: onnx_int8.Ranges = dict.fromkeys(names, (0.0, 0.0))
  samples: Dict[str, List[np.ndarray]] = {name: [] for name in names}
  draw = np.random.RandomState(0)
  probed, fetched = _probed(model, names)
  session = runtimes.onnx_session(probed.SerializeToString())
  (fed,) = session.get_inputs()
  for batch in batches:
    values = iter(session.run(fetched, {fed.name: batch}))
    for name, low, high, some in zip(names, values, values, values):
      before = whole[name]
      whole[name] = (min(before[0], float(low)), max(before[1], float(high)))
      samples[name].append(some[draw.randint(len(some), size=_NUM_SAMPLES)])
  cut = {
    name: _cut(np.concatenate(samples[name]), *whole[name]) for name in names
  }
  return whole, cut


def _cut(values: np.ndarray, low: float, high: float) -> Tuple[float, float]:
  """The part of a range whose 256 steps are closest to some values."""

  def error(share):
    step = (high - low) * share / 255 or 1.0
    places = np.clip(np.rint(values / step), low * share / step, None)
    places = np.minimum(places, high * share / step)
    return np.sum((places * step - values) ** 2)

  share = min(_SHARES, key=error)
  return low * share, high * share


def _probed(model: Any, names: List[str]) -> Tuple[Any, List[str]]:
  """Returns a model that says of tensors what is lowest, highest, and there.

  Whole tensors would take gigabytes.

  Returns:
    The model, and for each tensor the names of three outputs: two scalars, and
    1-D, every so many of its values.
  """
  probed = onnx.ModelProto()
  probed.CopyFrom(model)
  graph = probed.graph
  slices = {'start': 0, 'end': 2**62, 'axis': 0, 'step': _STRIDE}
  for name, value in dict(slices, flat=-1).items():
    constant = numpy_helper.from_array(np.int64([value]), 'probe/' + name)
    graph.initializer.append(constant)
  outputs = []
  for name in names:
    flat = name + '/flat'
    low, high, some = fetched = [
      name + f'/{i}' for i in ('low', 'high', 'some')
    ]
    slicing = [flat, *('probe/' + key for key in slices)]
    graph.node.extend(
      [
        helper.make_node('ReduceMin', [name], [low], keepdims=0),
        helper.make_node('ReduceMax', [name], [high], keepdims=0),
        helper.make_node('Reshape', [name, 'probe/flat'], [flat]),
        helper.make_node('Slice', slicing, [some]),
      ]
    )
    outputs += fetched
  graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
  return probed, outputs
