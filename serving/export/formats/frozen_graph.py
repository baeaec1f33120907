"""Frozen graphs: one GraphDef file with its weights."""

from typing import List

from serving import contract
from serving.export import request

FORMAT = 'frozen_graph'


def write(
  export_request: request.ExportRequest, directory: str
) -> List[contract.Artefact]:
  """Writes `frozen_graph.pb` into a directory.

  Raises:
    UserError: the checkpoint does not fit the model.
  """
  model = export_request.frozen()
  return [
    request.write_file(
      directory,
      'frozen_graph.pb',
      model.graph_def.SerializeToString(),
      format=FORMAT,
      input_type=export_request.options.input_type,
      inputs=model.inputs,
      outputs=model.outputs,
    )
  ]
