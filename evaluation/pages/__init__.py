"""HTML pages of one file, without network."""
