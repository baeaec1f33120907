"""Models: architecture, losses, optimisation and checkpoints."""
