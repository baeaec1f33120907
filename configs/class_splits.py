"""Splits of COCO's classes for masks of classes that none was learned of.

Of the 80 classes 20 are in Pascal VOC, too; masks of one part are learned, and
those of the other scored (Hu et al., arXiv:1711.10370).
"""

from typing import Dict, Optional, Tuple

# Category ids by name; None for all classes of any data set.
SPLITS: Dict[str, Optional[Tuple[int, ...]]] = {
  'all': None,
  'voc': (*range(1, 8), 9, *range(16, 22), 44, 62, 63, 64, 67, 72),
  'nonvoc': (
    *(8, 10, 11, 13, 14, 15),
    *range(22, 26),
    *(27, 28),
    *range(31, 44),
    *range(46, 62),
    *(65, 70),
    *range(73, 83),
    *range(84, 91),
  ),
}
