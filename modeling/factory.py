"""The model that a config names."""

from typing import Any

from modeling import base_model, model_registry, models
from utils import discovery

discovery.import_submodules(models.__path__, models.__name__)


def model_generator(params: Any) -> base_model.Model:
  """Returns the model named by `params.type`."""
  return model_registry.MODELS.get(params.type)(params)
