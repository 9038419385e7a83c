"""The trace of executed code: what the plugin in QEMU records, and how it is armed (docs/trace.md)."""
