"""Serves an exported model over HTTP."""
