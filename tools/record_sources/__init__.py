"""Annotation formats that can be turned into TFRecords, and the writing."""
