"""Runs detectors over images, records and videos, and writes what they find."""
