"""Builds the estimator for the hardware at hand and runs the loops."""
