"""Moments of a machine that one can go back to: checkpoints."""
