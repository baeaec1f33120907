"""Heads: feature pyramid -> predictions."""
