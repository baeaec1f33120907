"""Parameters: defaults, overrides, presets, and how they combine."""
