"""Runs trained detectors: checkpoints and what was exported."""
