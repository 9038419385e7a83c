"""Doors to the machines of this user beside Python and the command line: HTTP with a page for the browser, questions in words, and tools for language models."""
