"""Exports trained detectors."""
