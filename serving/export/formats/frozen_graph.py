"""One GraphDef file with the weights in it."""

import os
from typing import List

from serving import contract
from serving.export import request
from serving.graph import frozen

FORMAT = 'frozen_graph'
_FILE_NAME = 'frozen_graph.pb'


def write(
  export_request: request.ExportRequest, directory: str
) -> List[contract.Artefact]:
  """Writes `frozen_graph.pb`.

  Args:
    export_request: what to export.
    directory: must be there.

  Raises:
    UserError: the checkpoint does not fit the model.
    ConfigError: a value of the request cannot work.
  """
  model = frozen.freeze(export_request.build_graph(), export_request.checkpoint)
  content = model.graph_def.SerializeToString()
  with open(os.path.join(directory, _FILE_NAME), 'wb') as target:
    target.write(content)
  return [
    contract.Artefact(
      format=FORMAT,
      path=_FILE_NAME,
      input_type=export_request.input_type,
      inputs=model.input_specs,
      outputs=model.output_specs,
      has_nms=export_request.params.postprocess.apply_nms,
      num_bytes=len(content),
    )
  ]
