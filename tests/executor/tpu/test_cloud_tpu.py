"""Cloud TPUs by name, against the API's stand-in on this machine."""

import logging

import pytest
import tensorflow.compat.v1 as tf
from cloud_tpu_client import client as tpu_client

from configs import params_dict
from executor.tpu import cloud_tpu
from tests.executor.tpu import fake_tpu_api
from utils import errors

_LOST = ('--tpu', 'zone-a (--tpu_zone)', 'my-project (--gcp_project)')


def _platform(**changes):
  return params_dict.ParamsDict(
    {
      'tpu': 'my-tpu',
      'tpu_zone': 'zone-a',
      'gcp_project': 'my-project',
      'configure_tpu_version': False,
      **changes,
    }
  )


@pytest.fixture
def api():
  with fake_tpu_api.FakeTpuApi(fake_tpu_api.node()).running() as running:
    yield running


@pytest.fixture(scope='module')
def tpu_master():
  """A TensorFlow server in place of the one on a TPU."""
  return tf.train.Server.create_local_server()


def _tpu(api, **changes):
  return cloud_tpu.CloudTpu(_platform(**changes), api.service(), interval=0.01)


def test_name_becomes_the_address_of_a_master_that_answers(api, tpu_master):
  port = int(tpu_master.target.rsplit(':', 1)[1])
  api.script = [fake_tpu_api.node(version='1.15.0', port=port)]
  resolver = cloud_tpu.connect(_platform(), service=api.service())
  assert resolver.master() == f'grpc://127.0.0.1:{port}'
  assert f'GET /v1/{fake_tpu_api.NODE}?alt=json' in api.requests


def test_waits_aloud_until_the_tpu_is_healthy(api, caplog):
  api.script = [
    fake_tpu_api.node('CREATING', 'HEALTH_UNSPECIFIED'),
    503,
    fake_tpu_api.node('READY', 'UNHEALTHY_MAINTENANCE'),
    fake_tpu_api.node(),
  ]
  with caplog.at_level(logging.INFO):
    _tpu(api).wait_until_healthy()
  lines = [r.getMessage() for r in caplog.records if 'waited' in r.message]
  assert len(lines) == 3
  assert lines[0] == (
    'TPU my-tpu: state CREATING, health HEALTH_UNSPECIFIED; waited 0 s of at '
    'most 1200 s.'
  )
  assert 'state UNKNOWN' in lines[1]
  assert 'health UNHEALTHY_MAINTENANCE' in lines[2]
  assert 'does not answer: <HttpError 503' in caplog.text
  assert len(api.requests) == 4


def test_the_same_state_is_not_told_at_every_look(api, caplog):
  creating = fake_tpu_api.node('CREATING', 'HEALTH_UNSPECIFIED')
  api.script = [creating] * 4 + [fake_tpu_api.node()]
  with caplog.at_level(logging.INFO):
    _tpu(api).wait_until_healthy()
  assert len(api.requests) == 5
  assert caplog.text.count('waited') == 1


def test_waiting_for_an_unhealthy_tpu_ends(api):
  api.script = [fake_tpu_api.node('READY', 'UNHEALTHY_TENSORFLOW')]
  with pytest.raises(errors.UserError, match='within 0 s') as info:
    _tpu(api).wait_until_healthy(timeout=0.05)
  assert 'state READY, health UNHEALTHY_TENSORFLOW' in str(info.value)


@pytest.mark.parametrize(
  'answer,words',
  [
    (404, ('its state is MISSING', 'gcloud compute tpus create')),
    (
      fake_tpu_api.node('PREEMPTED'),
      ('its state is PREEMPTED', 'create it again', 'resumes'),
    ),
    (fake_tpu_api.node('STOPPED'), ('state is STOPPED', 'tpus start')),
    (403, ('refuses', 'the reason for 403', 'and account')),
    (400, ('refuses', 'the reason for 400')),
  ],
)
def test_tpu_that_cannot_be_used_is_explained(api, answer, words):
  api.script = [answer]
  with pytest.raises(errors.UserError) as info:
    _tpu(api).wait_until_healthy()
  for word in (*words, "'my-tpu'", *_LOST):
    assert word in str(info.value)


@pytest.mark.parametrize(
  'changes', [{'tpu_zone': 'zone-b'}, {'gcp_project': 'other'}, {'tpu': 'x'}]
)
def test_wrong_flag_is_shown_with_its_value(api, changes):
  with pytest.raises(errors.UserError, match='state is MISSING') as info:
    _tpu(api, **changes).wait_until_healthy()
  assert list(changes.values())[0] in str(info.value)


def test_new_tpu_is_awaited_for_as_long_as_it_takes(api, caplog):
  api.script = [
    fake_tpu_api.node('PREEMPTED'),
    fake_tpu_api.node('DELETING'),
    404,
    fake_tpu_api.node('CREATING', 'HEALTH_UNSPECIFIED'),
    fake_tpu_api.node(),
  ]
  with caplog.at_level(logging.INFO):
    _tpu(api).wait_until_healthy(awaits_new_tpu=True, timeout=0.0)
  assert len(api.requests) == 5
  assert 'state PREEMPTED' in caplog.text
  assert 'to go on, delete it if it is still listed, and create' in caplog.text
  assert 'state MISSING' in caplog.text


def test_new_tpu_is_awaited_though_the_api_is_late(
  api, tpu_master, caplog, monkeypatch
):
  """For a while a TPU that is gone is called healthy."""
  port = int(tpu_master.target.rsplit(':', 1)[1])
  wait = cloud_tpu.tpu_address.wait_until_reachable
  monkeypatch.setattr(
    cloud_tpu.tpu_address,
    'wait_until_reachable',
    lambda address: wait(address, timeout=0.05, interval=0.02),
  )
  monkeypatch.setattr(cloud_tpu, '_INTERVAL', 0.01)
  gone = fake_tpu_api.node(port=1)
  # Asked for health, version and address.
  api.script = [gone] * 3 + [fake_tpu_api.node(port=port)]
  resolver = cloud_tpu.connect(
    _platform(), awaits_new_tpu=True, service=api.service()
  )
  assert resolver.master().endswith(str(port))
  assert 'Asking the API again' in caplog.text


def test_other_version_is_refused(api):
  api.script = [fake_tpu_api.node(version='2.3')]
  with pytest.raises(errors.UserError, match='runs TensorFlow 2.3') as info:
    _tpu(api).check_version(configures=False)
  assert '--configure_tpu_version' in str(info.value)
  assert '1.15 is needed' in str(info.value)
  assert not any(request.startswith('POST') for request in api.requests)


@pytest.mark.parametrize('version', ['1.15', '1.15.5', None])
def test_right_or_untold_version_is_taken(api, version):
  api.script = [fake_tpu_api.node(version=version)]
  _tpu(api).check_version(configures=False)


@pytest.fixture
def version_switcher(api, monkeypatch):
  monkeypatch.setattr(
    tpu_client,
    '_VERSION_SWITCHER_ENDPOINT',
    'http://{{}}:{}/requestversion'.format(api.address.split(':')[1]),
  )


def test_version_is_set_on_request(api, version_switcher, caplog):
  api.script = [
    fake_tpu_api.node(version='2.3'),
    fake_tpu_api.node('RESTARTING', version='1.15'),
    fake_tpu_api.node(version='1.15'),
  ]
  with caplog.at_level(logging.INFO):
    _tpu(api).check_version(configures=True)
  assert 'POST /requestversion/1.15?restartType=ifNeeded' in api.requests
  # It is back before anything else happens.
  assert 'state RESTARTING' in caplog.text


def test_version_of_an_address_is_set_on_request(api, version_switcher):
  tpu = _tpu(api, tpu='grpc://127.0.0.1:8470')
  tpu.check_version(configures=False)
  assert not api.requests
  tpu.check_version(configures=True)
  assert api.requests == ['POST /requestversion/1.15?restartType=ifNeeded']


def test_new_tpu_is_awaited_though_it_is_lost_while_its_version_is_set(
  api, tpu_master, version_switcher, caplog, monkeypatch
):
  port = int(tpu_master.target.rsplit(':', 1)[1])
  monkeypatch.setattr(cloud_tpu, '_INTERVAL', 0.01)
  good = fake_tpu_api.node(port=port)
  lost = fake_tpu_api.node('PREEMPTED')
  # Asked for health and address; after the version was set, for health.
  api.script = [good, lost, good, good, lost, good]
  resolver = cloud_tpu.connect(
    _platform(configure_tpu_version=True),
    awaits_new_tpu=True,
    service=api.service(),
  )
  assert resolver.master().endswith(str(port))
  # That of the TPU that came in its place is set, too.
  assert sum(request.startswith('POST') for request in api.requests) == 2
  assert caplog.text.count('Asking the API again') == 2


def test_wrong_version_ends_also_the_wait_for_a_new_tpu(api, version_switcher):
  api.script = [fake_tpu_api.node(version='2.3')]
  with pytest.raises(errors.UserError, match='runs TensorFlow 2.3'):
    cloud_tpu.connect(_platform(), awaits_new_tpu=True, service=api.service())
  api.version_code = 404
  with pytest.raises(errors.UserError, match='cannot be set to 1.15'):
    cloud_tpu.connect(
      _platform(configure_tpu_version=True),
      awaits_new_tpu=True,
      service=api.service(),
    )


def test_version_that_cannot_be_set_is_explained(api, version_switcher):
  api.version_code = 404
  with pytest.raises(errors.UserError, match='cannot be set to 1.15') as info:
    _tpu(api).check_version(configures=True)
  assert 'not available' in str(info.value)
  assert '--version=1.15' in str(info.value)


def test_tpu_without_name_is_explained(monkeypatch):
  for variable in ('TPU_NAME', 'KUBE_GOOGLE_CLOUD_TPU_ENDPOINTS'):
    monkeypatch.delenv(variable, raising=False)
  with pytest.raises(errors.UserError, match='with --tpu'):
    cloud_tpu.CloudTpu(_platform(tpu=None))


@pytest.mark.parametrize('changes', [{'gcp_project': None}, {'tpu_zone': None}])
def test_project_and_zone_are_asked_for_outside_of_google_cloud(
  changes, monkeypatch
):
  # Nobody listens at port 1.
  monkeypatch.setattr(
    tpu_client, '_GCE_METADATA_ENDPOINT', 'http://127.0.0.1:1'
  )
  with pytest.raises(errors.UserError) as info:
    cloud_tpu.CloudTpu(_platform(**changes))
  assert str(info.value).endswith('Give --gcp_project and --tpu_zone.')
  assert 'not on Google Cloud' in str(info.value)


def test_name_from_the_environment_is_told(monkeypatch):
  monkeypatch.delenv('KUBE_GOOGLE_CLOUD_TPU_ENDPOINTS', raising=False)
  monkeypatch.setenv('TPU_NAME', 'its-tpu')
  monkeypatch.setattr(
    tpu_client, '_GCE_METADATA_ENDPOINT', 'http://127.0.0.1:1'
  )
  assert cloud_tpu.tpu_name(_platform(tpu=None)) == 'its-tpu'
  assert cloud_tpu.tpu_name(_platform()) == 'my-tpu'
  with pytest.raises(errors.UserError, match="TPU 'its-tpu' cannot be"):
    cloud_tpu.CloudTpu(_platform(tpu=None, gcp_project=None))


def test_missing_credentials_are_explained(monkeypatch, tmp_path):
  monkeypatch.setenv('GOOGLE_APPLICATION_CREDENTIALS', str(tmp_path / 'none'))
  with pytest.raises(errors.UserError, match='gcloud auth') as info:
    cloud_tpu.CloudTpu(_platform()).status()
  assert 'my-tpu' in str(info.value)
