"""The trace: recording it, its file, and what can be read out of it."""
