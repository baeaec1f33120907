"""What the operating system did not allow is said with its place."""

import errno

import pytest
import tensorflow.compat.v1 as tf

from executor import failures

_FULL = '/m/model.ckpt-3_temp_0/part; No space left on device\n [[node save]]'


@pytest.mark.parametrize(
  'error,told',
  [
    (
      tf.errors.ResourceExhaustedError(None, None, _FULL),
      "The disk is full at '/m/model.ckpt-3_temp_0/part': No space left",
    ),
    (OSError(errno.ENOSPC, 'x', '/m/a.json'), "disk is full at '/m/a.json': "),
    (OSError(errno.ENOSPC, 'x'), 'The disk is full: No space left'),
    (
      tf.errors.OutOfRangeError(None, None, '/m/part; File too large'),
      "'/m/part': File too large. Raise the limit (ulimit -f)",
    ),
    (
      tf.errors.PermissionDeniedError(None, None, '/m; Read-only file system'),
      "'/m': Read-only file system. Check that",
    ),
    (
      tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating; 3'),
      'Out of memory: OOM when allocating; 3. Lower train.train_batch_size',
    ),
  ],
)
def test_machine_errors(error, told):
  assert told in str(failures.explain(error))


def test_defects_are_not_explained():
  assert failures.explain(KeyError('a defect')) is None
  error = tf.errors.DataLossError(None, None, 'corrupted record at 0')
  assert failures.explain(error) is None


def test_a_restore_is_not_taken_for_a_bad_record():
  with tf.Graph().as_default(), tf.Session() as session:
    restore = tf.raw_ops.RestoreV2(
      prefix='/nowhere',
      tensor_names=['a'],
      shape_and_slices=[''],
      dtypes=[tf.float32],
    )
    with pytest.raises(tf.errors.OpError) as info:
      session.run(restore)
  damaged = tf.errors.DataLossError(None, info.value.op, 'Checksum differs')
  assert 'The checkpoint cannot be read: Checksum differs' in str(
    failures.explain(damaged)
  )
