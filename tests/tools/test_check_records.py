"""tools/check_records.py as a program: what it prints, and exit code."""

from PIL import Image

from tests import programs, record_factory


def _check_records(*arguments):
  return programs.run('tools/check_records.py', *arguments)


def test_problems_are_listed_and_counted(tmp_path):
  good = record_factory.write_records(
    tmp_path / 'good.tfrecord', [record_factory.make_record(b'1')] * 2
  )
  bad = record_factory.write_records(
    tmp_path / 'bad.tfrecord',
    [
      record_factory.make_record(b'7'),
      record_factory.make_record(b'8', classes=(9,)),
      record_factory.make_record(b'9', encoded=b'\xff\xd8\xff no image'),
    ],
  )
  process = _check_records('--file_pattern=' + good, '--num_classes=3')
  assert process.returncode == 0, process.stderr
  assert process.stdout == '1 files, 2 records read, 0 problems\n'

  process = _check_records(
    f'--file_pattern={good},{bad}', '--num_classes=3', '--max_rows=1'
  )
  assert process.returncode == 1
  problem, more, summary = process.stdout.splitlines()
  assert problem.startswith(
    f"TFRecord file '{bad}', record 1 (source id '8'): class id 9 is outside "
    'of 1 to 2'
  )
  assert more == '... and 1 more'
  assert summary == '2 files, 5 records read, 2 problems'
  assert 'Traceback' not in process.stderr


def test_the_whole_set_is_looked_at(tmp_path):
  exif = Image.Exif()
  exif[0x0112] = 6
  turned = record_factory.encode(
    record_factory.pixels(), 'JPEG', exif=exif.tobytes()
  )
  path = record_factory.write_records(
    tmp_path / 'turned.tfrecord',
    [
      record_factory.make_record(
        b'5', encoded=turned, boxes=[(0.1, 0.1, 0.11, 0.12)]
      )
    ],
  )
  process = _check_records('--file_pattern=' + path, '--num_classes=3')
  assert process.returncode == 1
  tiny, note, summary = process.stdout.splitlines()
  assert (
    'smaller than 2 pixels (the median of their longer sides is 1.2)' in tiny
  )
  assert "1 JPEG images, such as that of source id '5'" in note
  assert summary == '1 files, 1 records read, 1 problems'

  path = record_factory.write_records(
    tmp_path / 'none.tfrecord',
    [record_factory.make_record(b'1', boxes=(), classes=())] * 2,
  )
  process = _check_records('--file_pattern=' + path, '--num_classes=3')
  assert process.returncode == 1
  assert 'There is no box in 2 images' in process.stdout


def test_missing_file_is_named(tmp_path):
  pattern = str(tmp_path / 'x-*')
  process = _check_records('--file_pattern=' + pattern, '--num_classes=3')
  assert process.returncode == 1
  assert process.stderr.startswith(f"Error: No file matches '{pattern}'")
