"""A checkpoint in use: exports, predictors, inference, serving."""
