"""What is known of a run, whatever else lies beside it."""

import json

import pytest

from evaluation.pages import run_results
from utils import errors

_START = {
  'event': 'start',
  'time': '2026-11-30T13:30:46Z',
  'step': 0,
  'host': 'a',
  'versions': {'numpy': '1.19.5'},
  'revision': None,
  'command': 'main.py',
}
_FOUND = {'set': 'training', 'title': 'tiny', 'count': 2, 'remedy': 'None.'}
_GOOD = {
  'history.jsonl': json.dumps(_START) + '\n{"event": "end"}\n',
  'train_model_stats.json': '{"flops": 2}',
  'dataset.json': json.dumps(
    {'sets': {'training': {'images': 3, 'objects': 4}}, 'findings': [_FOUND]}
  ),
}
_KEYS = dict(zip(_GOOD, ('starts', 'statistics', 'dataset')))


def _facts(directory, **texts):
  for name, text in {**_GOOD, **texts}.items():
    (directory / name).write_text(text)
  return run_results.facts(
    run_results.Results('run', [], model_dir=str(directory))
  )


def test_facts(tmp_path):
  facts = _facts(tmp_path)
  assert [start['command'] for start in facts['starts']] == ['main.py']
  assert facts['statistics'] == {'flops': 2}
  assert facts['dataset'] == {
    'sets': {'training': {'images': 3, 'objects': 4}},
    'findings': [_FOUND],
  }


_OTHERS = '{"sets', '[1]', 'null', '{"event": "start"}', '"a"'


@pytest.mark.parametrize(
  'name, text',
  [
    *((name, text) for name in sorted(_GOOD) for text in _OTHERS),
    ('dataset.json', '{"sets": {"a": {}}, "findings": []}'),
  ],
)
def test_files_of_something_else_are_left_out(tmp_path, caplog, name, text):
  facts = _facts(tmp_path, **{name: text})
  assert not facts[_KEYS[name]]
  (line,) = caplog.messages
  assert f"{name}' is damaged or of something else, and is left out" in line
  for other in set(_GOOD) - {name}:
    assert facts[_KEYS[other]]


@pytest.mark.parametrize('text', ['[{"image_id": 1', '[]', '{}'])
def test_broken_predictions(tmp_path, text):
  (tmp_path / 'params.yaml').write_text('type: retinanet\n')
  (tmp_path / 'eval').mkdir()
  (tmp_path / 'eval' / 'predictions.json').write_text(text)
  with pytest.raises(errors.DataError, match="predictions.json' (is|has)"):
    run_results.of_model_dir(str(tmp_path))
