"""A config for a data set and a machine."""
