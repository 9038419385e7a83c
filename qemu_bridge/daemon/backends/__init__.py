"""Backends of a machine's RAM: a QEMU that the daemon started, an attached QEMU, a RAM image, a capture."""
