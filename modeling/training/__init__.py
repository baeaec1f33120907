"""Gradients, optimizers, accumulation, clipping, checks of the loss."""
