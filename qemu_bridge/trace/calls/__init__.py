"""System calls: their numbers and arguments, as words of a trace."""
