"""Parameters of each model, a file a model."""
