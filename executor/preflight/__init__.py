"""Proof, without a TPU, that a run will work on one."""
