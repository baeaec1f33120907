"""Splits of COCO's classes."""

from configs import class_splits


def test_splits_share_coco():
  voc, others = (class_splits.SPLITS[name] for name in ('voc', 'nonvoc'))
  assert len(voc) == len(set(voc)) == 20
  assert len(others) == len(set(others)) == 60
  assert not set(voc) & set(others)
  assert (min(voc), max(voc), min(others), max(others)) == (1, 72, 8, 90)
