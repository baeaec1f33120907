"""Expected time of a training step on hardware that is not here."""
