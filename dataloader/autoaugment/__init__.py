"""AutoAugment policies (Zoph et al., arXiv:1906.11172).

A policy registers under its value of `retinanet_parser.aug_policy` and is
called `policy(image, boxes_normalized)` with a uint8 [height, width, 3] image
and float32 [n, 4] boxes; it returns both, augmented, of the same dtypes.
"""

from utils import registry

POLICIES = registry.Registry('retinanet_parser.aug_policy')
