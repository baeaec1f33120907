"""Scores detections against groundtruth and reports the metrics."""
