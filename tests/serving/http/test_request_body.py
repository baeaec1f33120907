"""Bodies that arrive slowly, in bounded memory."""

import asyncio
import types

from serving.http import request_body, request_limits


def _request(parts):
  """Of a body whose parts come by a queue; None ends it."""

  async def stream():
    while True:
      part = await parts.get()
      if part is None:
        return
      yield part

  return types.SimpleNamespace(headers={}, stream=stream)


def test_the_oldest_body_makes_room_for_others():
  async def arrive():
    arrivals = request_body.Arrivals(request_limits.Limits(max_body=10))
    queues = [asyncio.Queue() for _ in range(18)]
    reads = []
    for queue in queues:
      queue.put_nowait(b'0123456789')
      reads.append(asyncio.ensure_future(arrivals.read(_request(queue))))
      await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    for queue in queues:
      queue.put_nowait(None)
    return await asyncio.gather(*reads, return_exceptions=True)

  # 16 of the largest bodies fit.
  *given_up, last = asyncio.run(arrive())[:3]
  for error in given_up:
    assert isinstance(error, request_limits.RequestError)
    assert error.status == 503
  assert last.data == b'0123456789'
