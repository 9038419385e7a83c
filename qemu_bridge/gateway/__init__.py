"""Doors to the machines of this user beside Python and the command line: questions in words, and tools for language models."""
