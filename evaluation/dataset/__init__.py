"""A whole data set: its contents, and what is wrong with it."""
