"""HTTP application: TensorFlow Serving's REST API, and a page."""

import asyncio
import base64
import contextlib
import html
import os
import re
from concurrent import futures
from typing import Any, Awaitable, Dict, Iterator, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from dataloader import image_reader
from serving.http import (
  batching,
  image_check,
  predict_json,
  request_body,
  served_model,
)
from serving.http.request_limits import Limits, RequestError, Slots
from serving.predictors import predictor as predictor_lib
from utils import drawing, errors, label_map, mask_utils

_PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'page.html')
_ANY_METHOD = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']
# The page is one file, so that nothing else may be loaded.
_PAGE_POLICY = (
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
  "img-src blob: data:; connect-src 'self'; base-uri 'none'; "
  "form-action 'none'; frame-ancestors 'none'"
)
# Forms in which `/detect` gives masks.
_MASKS = ('polygon', 'rle', 'none')
# The client is gone and nobody reads the answer. TensorFlow Serving's number.
_CANCELLED = 499


class DetectionApp:
  """What answers requests; as ASGI application, `asgi`.

  Args:
    location: of the model.
    model: answers `:predict`, and by its predictor the page.
    limits: of this server.
  """

  def __init__(
    self,
    location: served_model.Location,
    model: served_model.ServedModel,
    limits: Limits,
  ):
    self._location = location
    self._model = model
    predictor = model.predictor
    self._label_map = label_map.with_background(predictor.label_map)
    self._limits = limits
    self._decoder = image_reader.Decoder(limits.max_image_pixels)
    self._arrivals = request_body.Arrivals(limits)
    self._slots = Slots(limits.max_queue)
    self._predict_batcher = batching.Batcher(
      model.run,
      model.contract.batch_size or limits.max_batch_size,
      limits.max_delay,
    )
    self._detect_batcher = batching.Batcher(
      predictor.predict,
      predictor.batch_size or limits.max_batch_size,
      limits.max_delay,
    )
    # JSON can take many times its size in memory, so one at a time is unpacked
    # and parsed. It holds Python's lock: several would be no faster.
    self._json_pool = futures.ThreadPoolExecutor(1, 'json')
    self._decode_pool = futures.ThreadPoolExecutor(
      limits.max_batch_size, 'decode'
    )
    # Made in the event loop that it belongs to.
    self._decoded_places: Optional[asyncio.Semaphore] = None
    with open(_PAGE, encoding='utf-8') as source:
      self._page = source.read().replace(
        '{{ model }}', html.escape(location.name)
      )
    self.asgi = self._application()

  def close(self) -> None:
    """Ends all threads, once what is in work is done."""
    self._json_pool.shutdown()
    self._decode_pool.shutdown()
    self._predict_batcher.close()
    self._detect_batcher.close()

  def _application(self) -> Starlette:
    model = '/v1/models/' + self._location.name
    versioned = f'{model}/versions/{self._location.version}'
    routes = [
      Route('/', self._show_page, methods=['GET']),
      Route('/detect', self._detect, methods=['POST']),
      Route('/healthz', self._health, methods=['GET']),
    ]
    for path in (model, versioned):
      routes += [
        Route(path, self._status, methods=['GET']),
        Route(path + '/metadata', self._metadata, methods=['GET']),
        Route(path + ':predict', self._predict, methods=['POST']),
      ]
    routes.append(Route('/{path:path}', self._unknown, methods=_ANY_METHOD))
    return Starlette(
      routes=routes,
      exception_handlers={
        RequestError: _turn_down,
        HTTPException: _refuse_method,
        ClientDisconnect: _nobody_there,
        Exception: _fail,
      },
    )

  async def _show_page(self, request: Request) -> Response:
    del request
    return HTMLResponse(
      self._page, headers={'Content-Security-Policy': _PAGE_POLICY}
    )

  async def _health(self, request: Request) -> Response:
    del request
    return JSONResponse({'status': 'ok', 'model': self._location.name})

  async def _status(self, request: Request) -> Response:
    del request
    return JSONResponse(
      {
        'model_version_status': [
          {
            'version': str(self._location.version),
            'state': 'AVAILABLE',
            'status': {'error_code': 'OK', 'error_message': ''},
          }
        ]
      }
    )

  async def _metadata(self, request: Request) -> Response:
    del request
    signatures = {served_model.SIGNATURE_NAME: self._model.signature}
    return JSONResponse(
      {
        'model_spec': {
          'name': self._location.name,
          'signature_name': '',
          'version': str(self._location.version),
        },
        'metadata': {'signature_def': {'signature_def': signatures}},
      }
    )

  async def _unknown(self, request: Request) -> Response:
    path = request['path']
    named = re.match(
      r'/v1/models/([^/:]+)(?:/versions/([^/:]+))?(/metadata|:predict)?$', path
    )
    known = (self._location.name, str(self._location.version))
    if named and (
      named.group(1) != known[0] or named.group(2) not in (None, known[1])
    ):
      raise RequestError(
        404,
        "No such model is served: '{:.120}'. There is '{}', version {}.".format(
          path, *known
        ),
      )
    if path.startswith('/v1/'):
      raise RequestError(400, f'Malformed request: {_shown(request)}.')
    raise RequestError(404, f'There is nothing for {_shown(request)}.')

  async def _predict(self, request: Request) -> Response:
    body = await self._arrivals.read(request)
    with self._slots.request() as take, _explaining_bad_images():
      take(1)
      job = self._json_pool.submit(self._parse, body)
      (parsed,) = await _results_for(request, [job])
      del body
      take(len(parsed.examples) - 1)
      jobs = [self._predict_batcher.submit(e) for e in parsed.examples]
      results = await _results_for(request, jobs)
      job = self._json_pool.submit(
        predict_json.format_answer, results, parsed.is_by_row
      )
      (answer,) = await _results_for(request, [job])
    return Response(answer, media_type='application/json')

  async def _detect(self, request: Request) -> Response:
    masks = request.query_params.get('masks', _MASKS[0])
    if masks not in _MASKS:
      raise RequestError(
        400, f'masks={masks:.40} is unknown; known are {", ".join(_MASKS)}.'
      )
    body = await self._arrivals.read(request)
    with self._slots.request() as take, _explaining_bad_images():
      take(1)
      return JSONResponse(
        await _while_connected(request, self._detect_one(body, masks))
      )

  def _parse(self, body: request_body.Body) -> predict_json.PredictRequest:
    spec = self._model.input
    try:
      parsed = predict_json.parse(
        body.unpack(self._limits), spec, self._limits.max_body
      )
      if spec.dtype != 'string':
        return parsed
      checked = [
        image_check.check_example(
          example,
          self._model.artefact.input_type,
          self._limits.max_image_pixels,
        )
        for example in parsed.examples
      ]
      return parsed._replace(examples=checked)
    except RequestError as error:
      refusal = RequestError(error.status, str(error))
    # Frames of a traceback would keep what was parsed until Python looks for
    # cycles.
    raise refusal

  async def _detect_one(
    self, body: request_body.Body, masks: str
  ) -> Dict[str, Any]:
    if self._decoded_places is None:
      self._decoded_places = asyncio.Semaphore(self._limits.max_batch_size)
    # No more decoded photographs in memory than one batch takes.
    async with self._decoded_places:
      image = await asyncio.wrap_future(
        self._decode_pool.submit(self._decode, body)
      )
      detections = await asyncio.wrap_future(self._detect_batcher.submit(image))
      # Pasting masks takes as long as decoding.
      return await asyncio.wrap_future(
        self._decode_pool.submit(
          picture_json, image, detections, self._label_map, masks
        )
      )

  def _decode(self, body: request_body.Body) -> np.ndarray:
    return self._decoder.open(body.unpack(self._limits)).decode().pixels


def picture_json(
  image: np.ndarray,
  detections: predictor_lib.ImageDetections,
  names: Dict[int, str],
  masks: str = _MASKS[0],
) -> Dict[str, Any]:
  """What the page draws; boxes and masks end with the picture.

  Each of `detections`, best first, has `box` ([ymin, xmin, ymax, xmax], pixels,
  to two decimals; [] if the class is that of the whole image), `class`, `name`,
  `score` (to four) and `color` (of CSS). With masks also `mask`: a list of
  polygons [x0, y0, x1, y1, ...] in pixels, within a pixel, or COCO's compressed
  run lengths. Of the pixels of a class there are run lengths alone, and beside
  `detections` stands `class_map`: a PNG of the picture's size in base64, whose
  indices are classes; 0, the background, is transparent.
  """
  height, width = image.shape[:2]
  detections = detections.clipped_to(height, width)
  rows = [
    {
      'box': [round(edge, 2) for edge in box],
      'class': class_id,
      'name': names.get(class_id, str(class_id)),
      'score': round(score, 4),
      'color': 'rgb({},{},{})'.format(*drawing.class_color(class_id)),
    }
    for class_id, score, box in detections.rows()
  ]
  found = {'width': width, 'height': height, 'detections': rows}
  forms = None
  if masks == 'rle':
    forms = detections.run_lengths(height, width)
  elif masks != 'none' and detections.masks is not None:
    pasted = detections.pasted_masks(height, width)
    forms = map(mask_utils.window_polygons, pasted)
  for row, mask in zip(rows, forms or ()):
    row['mask'] = mask
  if masks != 'none' and detections.class_map is not None:
    png = drawing.class_map_png(detections.class_map, is_overlay=True)
    found['class_map'] = base64.b64encode(png).decode('ascii')
  return found


@contextlib.contextmanager
def _explaining_bad_images() -> Iterator[None]:
  """What a picture alone is to blame for is a 400, wherever it shows."""
  try:
    yield
  except tf.errors.InvalidArgumentError as error:
    raise RequestError(400, served_model.first_line(error)) from error
  except errors.DataError as error:
    raise RequestError(400, f'The picture cannot be taken: {error}.') from error


async def _results_for(
  request: Request, jobs: Sequence[futures.Future]
) -> Sequence[Any]:
  """As `_while_connected`, of jobs of threads; one that fails cancels all."""
  try:
    return await _while_connected(
      request, asyncio.gather(*[asyncio.wrap_future(job) for job in jobs])
    )
  finally:
    for job in jobs:
      job.cancel()


async def _while_connected(request: Request, work: Awaitable[Any]) -> Any:
  """Waits for work while the client does.

  Args:
    request: whose body has been read.
    work: cancelled when the client hangs up.

  Raises:
    ClientDisconnect: it hung up.
  """
  gone = asyncio.ensure_future(_hang_up(request))
  done = asyncio.ensure_future(work)
  try:
    await asyncio.wait({gone, done}, return_when=asyncio.FIRST_COMPLETED)
    if not done.done():
      raise ClientDisconnect()
    return done.result()
  finally:
    gone.cancel()
    done.cancel()
    # Nobody is left to hear how it fails.
    done.add_done_callback(lambda done: done.cancelled() or done.exception())


async def _hang_up(request: Request) -> None:
  while (await request.receive())['type'] != 'http.disconnect':
    pass


async def _turn_down(request: Request, error: RequestError) -> Response:
  del request
  return JSONResponse({'error': str(error)}, error.status, error.headers)


async def _refuse_method(request: Request, error: HTTPException) -> Response:
  what = f'{_shown(request)} is not possible: {error.detail}.'
  return JSONResponse({'error': what}, error.status_code, error.headers)


def _shown(request: Request) -> str:
  return f'{request.method:.20} {request["path"]:.120}'


async def _nobody_there(request: Request, error: Exception) -> Response:
  del request, error
  return Response(status_code=_CANCELLED)


async def _fail(request: Request, error: Exception) -> Response:
  # Starlette raises it again afterwards, so that it is logged.
  del request, error
  return JSONResponse({'error': 'The server failed; its log says why.'}, 500)
