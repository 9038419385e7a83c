"""What stands behind a machine's RAM: a QEMU of ours, somebody else's, a file, a capture."""
