"""Runs trained models: checkpoints and what they were exported to."""
