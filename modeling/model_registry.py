"""Models by their value of `type`."""

from utils import registry

MODELS = registry.Registry('type')

# Decorates `from_params(params) -> base_model.Model`.
register_model = MODELS.register
