import pytest
import yaml

from tests import programs, record_factory


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  """A folder with 12 images to train on and 3 to evaluate with."""
  folder = tmp_path_factory.mktemp('records')
  for name, start, count in (('train', 0, 12), ('val', 12, 3)):
    record_factory.write_records(
      folder / f'{name}-00000-of-00001.tfrecord',
      [
        record_factory.make_record(
          source_id=b'%d' % i,
          encoded=record_factory.encode(
            record_factory.pixels(96, 128, seed=i), 'JPEG'
          ),
          boxes=[[0.1, 0.1, 0.5, 0.4], [0.4, 0.5, 0.9, 0.9]],
          classes=[1, 2],
        )
        for i in range(start, start + count)
      ],
    )
  (folder / 'label_map.txt').write_text('1:cat\n2:dog\n')
  return folder


def _new_config(*arguments):
  return programs.run('tools/new_config.py', *arguments)


@pytest.mark.slow
def test_config_for_a_folder(records, tmp_path):
  output = tmp_path / 'my.yaml'
  run = _new_config(
    records, '--minutes=10', f'--output={output}', '--images_per_second=6'
  )
  assert run.returncode == 0, run.stderr
  assert 'training    12 images' in run.stdout
  assert 'groundtruth the records' in run.stdout
  assert 'with twice the time' in run.stdout
  assert f'--model_dir=model --config_file={output}' in run.stdout
  config = yaml.safe_load(output.read_text())
  assert config['architecture']['num_classes'] == 3
  assert config['retinanet_parser']['output_size'] == [96, 128]
  assert config['train']['total_steps'] > 600
  lines = output.read_text().splitlines()
  settings = [i for i, line in enumerate(lines) if ': ' in line.split('#')[0]]
  assert len(settings) > 25
  assert all('  # ' in lines[i] for i in settings)
  resolved = programs.run(
    'main.py', '--mode=print_config', f'--config_file={output}'
  )
  assert resolved.returncode == 0, resolved.stderr
  # Nothing is overwritten.
  text = output.read_text()
  run = _new_config(records, f'--output={output}', '--images_per_second=6')
  assert run.returncode == 2
  assert 'is not overwritten' in run.stderr
  assert output.read_text() == text


@pytest.mark.slow
def test_measured_steps(records, tmp_path):
  output = tmp_path / 'my pets.yaml'
  run = _new_config(records, '--minutes=10', f'--output={output}')
  assert run.returncode == 0, run.stderr
  assert "--model_dir='my pets_model' --config_file='" in run.stdout
  assert 'Measuring training steps' in run.stdout
  assert yaml.safe_load(output.read_text())['train']['total_steps'] >= 50


@pytest.mark.parametrize(
  'arguments, message',
  [
    ([], '0 arguments are not flags'),
    (['a', 'b'], '2 arguments are not flags'),
    (['absent'], "'absent' is no folder of records"),
    (['absent', '--minutes=nan'], '--minutes=nan is no number'),
    (['absent', '--minutes=0'], 'minutes'),
    (['absent', '--images_per_second=inf'], '--images_per_second=inf is no'),
  ],
)
def test_what_cannot_be_read(tmp_path, arguments, message):
  output = tmp_path / 'my.yaml'
  run = _new_config(*arguments, f'--output={output}')
  assert run.returncode == 2
  assert message in run.stderr
  assert not output.exists()


@pytest.mark.slow
def test_too_few_minutes(records, tmp_path):
  output = tmp_path / 'my.yaml'
  run = _new_config(
    records, '--minutes=1', f'--output={output}', '--images_per_second=1'
  )
  assert run.returncode == 2
  assert 'Give more minutes' in run.stderr
  assert not output.exists()
