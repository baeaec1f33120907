"""Necks: backbone feature maps -> feature pyramid.

Each module registers under its value of `architecture.multilevel_features`.
"""
