"""The trace file: its format, its codec, and the reader that gives arrays (docs/trace-format.md)."""
