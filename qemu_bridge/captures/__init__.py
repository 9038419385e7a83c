"""Captures: a machine's memory in a folder, and what differs between two moments."""
