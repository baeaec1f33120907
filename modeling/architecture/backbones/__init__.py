"""Backbones: image -> feature maps by level.

Each module registers under its value of `architecture.backbone`.
"""
