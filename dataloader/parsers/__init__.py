"""What each model reads from records, a file a parser."""
