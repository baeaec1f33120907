"""The models, a file a model."""
