"""A format for tests of everything about an export but its formats."""

import os

import pytest

from serving.export import formats


@pytest.fixture()
def writes_text(monkeypatch):
  """A format that takes no time; the requests that it got."""
  requests = []

  def write(request, directory):
    requests.append(request)
    with open(os.path.join(directory, 'text'), 'w') as target:
      target.write(str(request))
    return []

  for name in ('text', *formats.FORMATS.names()):
    monkeypatch.setitem(formats.FORMATS._entries, name, formats.Format(write))
  return requests
