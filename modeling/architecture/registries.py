"""Registries of backbones and necks.

What is registered is a function of the whole params and a `LayerKit`,
the batch norm, activation and regularisation that all parts of a model share:
`build(params, layers) -> part`. A part is called with
`(inputs, is_training)`.
"""

from utils import registry

BACKBONES = registry.Registry('architecture.backbone')
NECKS = registry.Registry('architecture.multilevel_features')

register_backbone = BACKBONES.register
register_neck = NECKS.register
