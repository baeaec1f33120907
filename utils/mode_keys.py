"""Modes of the input pipeline and the model."""

TRAIN = 'train'
EVAL = 'eval'
PREDICT = 'predict'
PREDICT_WITH_GT = 'predict_with_gt'

ALL = (TRAIN, EVAL, PREDICT, PREDICT_WITH_GT)
