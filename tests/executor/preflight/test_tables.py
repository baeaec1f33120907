import pytest

from executor.preflight import dtypes, host, tables


def _rows(table):
  return list(zip(*[list(column.cells) for column in table.columns]))


@pytest.mark.parametrize(
  'images_per_second, verdict',
  [
    (300.0, 'fast enough'),
    (
      100.0,
      'too slow for all cores: it takes about 12 CPUs like these, over all '
      'hosts',
    ),
  ],
)
def test_verdict_on_the_host(images_per_second, verdict):
  table = tables.host_table(
    2**20 * 4.0,
    host.Demand(images_per_second=300.0, step_ms=20.0, source='--step_time_ms'),
    host.Trial(images_per_second, num_cpus=4, note='3 files'),
  )
  rows = dict(_rows(table))
  assert rows['verdict'] == verdict
  assert rows['infeed of an image'] == '4.00 MB with its labels'
  assert rows['step'] == '20 ms (--step_time_ms)'
  assert rows['all cores take'] == '300.0 images/s, 1.17 GB/s over the infeeds'
  assert rows[
    'this machine reads'
  ] == '{:.1f} images/s with 4 CPUs (3 files)'.format(images_per_second)


def test_precision_names_the_most_frequent_types():
  types = {name: 10 - i for i, name in enumerate('ABCDEFGH')}
  table = tables.dtype_table(
    [dtypes.Part('fpn', 7, sum(types.values()), types)]
  )
  assert _rows(table) == [
    ('fpn', '7', '52', '10 A, 9 B, 8 C, 7 D, 6 E, 5 F, and 7 more')
  ]
