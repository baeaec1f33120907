"""The Cloud TPU API on this machine: a real HTTP server with a script."""

import contextlib
import http.server
import json
import threading

import httplib2
from googleapiclient import discovery

NODE = 'projects/my-project/locations/zone-a/nodes/my-tpu'


def node(state='READY', health='HEALTHY', version='1.15', port=8470):
  """What the API tells of a TPU on this machine."""
  return {
    'name': NODE,
    'state': state,
    'health': health,
    'tensorflowVersion': version,
    'networkEndpoints': [{'ipAddress': '127.0.0.1', 'port': port}],
  }


class FakeTpuApi:
  """Serves one TPU, and the program on a TPU that changes its version.

  Attributes:
    script: the answers in turn, dicts (of `node`) or HTTP codes; the last one
      stays.
    requests: 'METHOD path' of everything that was asked for.
    version_code: how a request to change the version is answered.
  """

  def __init__(self, *script):
    self.script = list(script)
    self.requests = []
    self.version_code = 200
    api = self

    class Handler(http.server.BaseHTTPRequestHandler):
      def do_GET(self):
        api.requests.append('GET ' + self.path)
        answer = api.script.pop(0) if len(api.script) > 1 else api.script[0]
        if not self.path.startswith('/v1/' + NODE):
          answer = 404
        if isinstance(answer, dict):
          self._send(200, answer)
        else:
          message = f'the reason for {answer}'
          error = {'code': answer, 'message': message}
          self._send(answer, {'error': error})

      def do_POST(self):
        api.requests.append('POST ' + self.path)
        self._send(api.version_code, {})

      def _send(self, code, content):
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

      def log_message(self, *args):
        del args

    self._server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    self.address = f'127.0.0.1:{self._server.server_port}'

  @contextlib.contextmanager
  def running(self):
    thread = threading.Thread(
      target=self._server.serve_forever, args=[0.01], daemon=True
    )
    thread.start()
    try:
      yield self
    finally:
      self._server.shutdown()
      self._server.server_close()
      thread.join()

  def service(self):
    """A client of Google's library, whose requests go to this server."""
    parameter = {'type': 'string', 'location': 'path', 'required': True}
    method = {
      'id': 'tpu.projects.locations.nodes.get',
      'path': 'v1/{+name}',
      'httpMethod': 'GET',
      'parameters': {'name': parameter},
      'parameterOrder': ['name'],
      'response': {'$ref': 'Node'},
    }
    document = {
      'name': 'tpu',
      'version': 'v1',
      'rootUrl': f'http://{self.address}/',
      'servicePath': '',
      'schemas': {'Node': {'id': 'Node', 'type': 'object'}},
      'resources': {
        'projects': {
          'resources': {
            'locations': {'resources': {'nodes': {'methods': {'get': method}}}}
          }
        }
      },
    }
    return discovery.build_from_document(document, http=httplib2.Http())
