"""Operating system support: safe file access, printable text, named tasks, jobs."""
