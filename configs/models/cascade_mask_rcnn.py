"""Parameters of Cascade R-CNN (Cai et al., arXiv:1712.00726)."""

from configs.models import mask_rcnn

PARSERS = mask_rcnn.PARSERS

EVAL_TYPES = mask_rcnn.EVAL_TYPES

KEYS = mask_rcnn.KEYS

RESTRICTIONS = mask_rcnn.SHARED_RESTRICTIONS
