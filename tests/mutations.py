"""Damaged input, for tests: taken, or refused by one line in a short time.

`mutated` makes two tests of a function: a quick one, whose examples are the
same every time, and a slow one of many more that differ;
DETECTION_MUTATIONS=20000 sets how many these are.
"""

import copy
import inspect
import json
import os
import time

import hypothesis
import pytest
from hypothesis import strategies as st

from utils import errors

# Of the processor, which a busy machine does not change. What needs more grows
# faster than the size of its input.
_MOST_SECONDS = 60

_ENCODINGS = ('utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'latin-1', 'utf-32')
TEXTS = st.sampled_from(
  ['', ' ', '²', '١', 'nan', 'inf', '1e999', '-0', '0x1', '1_0', ' 1 ', 'é']
  + ['\ud800', '\0', 'a\nb', ':', '../..', 'C:\\a.png', '9' * 400, 'a' * 5000]
  + ['cat ', 'dog', '<', '&lt;', '<object>', '</annotation>', '<!ENTITY a "">']
)
NUMBERS = st.sampled_from(
  [0, -1, 2**31, 2**63, 10**300, -(10**30), 1e308, 1e-300]
  + [float('nan'), float('inf'), -float('inf'), 0.5, 1.0, 7]
)
VALUES = st.one_of(
  st.sampled_from([None, True, False, [], {}, [[]], [1], {'a': 1}, [None] * 4]),
  NUMBERS,
  TEXTS,
  st.recursive(st.integers(), st.lists, max_leaves=5),
)


def mutated(strategy, examples=(), quick=40, thorough=1000):
  """Decorates a function of an example and of fixtures.

  Args:
    strategy: of examples.
    examples: which are always tried.
    quick: number of examples of the quick test; 0: there is none.
    thorough: number of those of the slow one.
  """
  thorough = int(os.environ.get('DETECTION_MUTATIONS', thorough))

  def decorate(check):
    _, *fixtures = inspect.signature(check).parameters

    counts = [pytest.param(thorough, marks=pytest.mark.slow)]
    if quick:
      counts.insert(0, quick)

    @pytest.mark.parametrize('count', counts)
    # One of many examples takes seconds at most.
    @pytest.mark.timeout(0)
    def test(request, count):
      values = [request.getfixturevalue(name) for name in fixtures]

      @hypothesis.given(strategy)
      def trial(example):
        check(example, *values)

      for example in examples:
        trial = hypothesis.example(example)(trial)
      hypothesis.settings(
        max_examples=count,
        deadline=None,
        derandomize=count == quick,
        database=None,
        print_blob=True,
        suppress_health_check=list(hypothesis.HealthCheck),
      )(trial)()

    return test

  return decorate


def attempt(function):
  """Returns what it returns, or the UserError, a short line for the user."""
  start = time.process_time()
  try:
    return function()
  except errors.UserError as error:
    message = str(error)
    assert 10 < len(message) < 2000 and len(message.splitlines()) == 1
    # It can be printed.
    message.encode('utf-8')
    return error
  finally:
    assert time.process_time() - start < _MOST_SECONDS


def _nodes(value):
  """All (container, key) within a value."""
  items = value.items() if isinstance(value, dict) else enumerate(value)
  for key, child in list(items):
    yield value, key
    if isinstance(child, (dict, list)):
      yield from _nodes(child)


@st.composite
def documents(draw, content, values=VALUES, most=3):
  """The content of a JSON file with 1 to `most` places changed."""
  content = copy.deepcopy(content)
  for _ in range(draw(st.integers(1, most))):
    nodes = list(_nodes(content))
    if not nodes:
      break
    container, key = nodes[draw(st.integers(0, len(nodes) - 1))]
    change = draw(st.sampled_from(['set', 'set', 'remove', 'repeat']))
    if change == 'set':
      container[key] = copy.deepcopy(draw(values))
    elif change == 'remove':
      del container[key]
    elif isinstance(container, list):
      container.append(copy.deepcopy(container[key]))
  return content


@st.composite
def encoded(draw, texts):
  """Texts as bytes, which may be damaged."""
  encoding = draw(st.sampled_from(('utf-8',) * 6 + _ENCODINGS))
  return draw(damaged(draw(texts).encode(encoding, 'replace')))


@st.composite
def damaged(draw, data):
  """Bytes, most of the time as they are."""
  data = bytearray(data)
  change = draw(st.sampled_from([''] * 6 + ['cut', 'flip', 'nest']))
  at = draw(st.integers(0, max(len(data) - 1, 0)))
  if change == 'cut':
    del data[at:]
  elif change == 'flip' and data:
    data[at] ^= draw(st.integers(1, 255))
  elif change == 'nest':
    data[at:at] = draw(st.sampled_from([b'[', b'<a>', b'{"a":'])) * 50000
  return bytes(data)


def json_files(content):
  """Bytes of JSON files that are like one of this content."""
  return encoded(documents(content).map(json.dumps))


@st.composite
def texts(draw, text, marks, pieces=TEXTS):
  """A text with what is between two marks replaced, 1 to 3 times."""
  for _ in range(draw(st.integers(1, 3))):
    ends = [i for i, c in enumerate(text) if c in marks]
    if not ends:
      break
    start, end = sorted(draw(st.sampled_from(ends)) for _ in range(2))
    piece = draw(st.one_of(pieces, st.text(max_size=4), st.just(text[:60])))
    text = text[: start + 1] + piece + text[end:]
  return text
