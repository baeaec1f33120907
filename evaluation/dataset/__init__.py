"""Looks at whole data sets."""
